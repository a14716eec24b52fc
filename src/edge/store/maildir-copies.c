/*
 * Promises that a file system which fails is given up with its own Maildirs and with no other. Refuses to know
 * who is told, and what the files become.
 */
#include "edge/store/maildir-copies.h"
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/store/mailbox.h"
#include "edge/store/message-file.h"

/* Adds a file beside the box's directory. What the directory refuses is about this Maildir alone. */
static int add_copy(
	struct maildir *m, const struct tx *tx, struct mailbox *box, bool in_tmp)
{
	struct copy *c = &m->copies[m->n_copies];
	char name[TX_FILE_MAX];
	int r;

	copy_make_name(name, tx->id, m->n_copies, m->host, -1);
	r = copy_open(c, box, name, in_tmp);
	if (r < 0) {
		mailbox_fail(box, c->part, r);
		copy_close(c);
		return r;
	}
	m->n_copies++;
	box->copy = c;
	return 0;
}

/* Without the file none of its boxes can have the message. Returns `error`. */
static int give_up(struct maildir *m, struct copy *c, int error)
{
	const char *part = c->part;

	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		if (box->copy != c)
			continue;
		box->copy = NULL;
		mailbox_fail(box, part, error);
	}
	copy_close(c);
	return error;
}

/* 0 where a box has a file; else the error of the first. */
static int result(const struct maildir *m)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		if (m->boxes[i].copy)
			return 0;
	return m->boxes[0].error;
}

/* The copy that may be linked into the box. */
static struct copy *find_copy(struct maildir *m, const struct mailbox *box)
{
	for (size_t i = 0; i < m->n_copies; i++) {
		struct copy *c = &m->copies[i];
		if (c->n_planned < MAILDIR_LINKS_MAX && copy_reaches(c, box))
			return c;
	}
	return NULL;
}

int copies_begin(struct maildir *m, const struct tx *tx)
{
	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		if (box->error || (m->n_boxes > 1 && mailbox_learn(box) < 0))
			continue;
		box->copy = find_copy(m, box);
		if (box->copy || add_copy(m, tx, box, false) == 0)
			box->copy->n_planned++;
	}
	return result(m);
}

int copies_write(struct maildir *m, struct span text)
{
	int error = 0;

	for (size_t i = 0; i < m->n_copies; i++) {
		struct copy *c = &m->copies[i];
		struct span rest = text;
		int r = c->fd >= 0 ? copy_write(c, &rest) : 0;
		if (r < 0)
			error = give_up(m, c, r);
	}
	return error ? result(m) : 0;
}

int copies_finish(struct maildir *m)
{
	for (size_t i = 0; i < m->n_copies; i++) {
		struct copy *c = &m->copies[i];
		int r = c->fd >= 0 ? copy_sync(c) : 0;
		if (r == 0 && c->fd >= 0)
			r = copy_give(c);
		if (r < 0)
			give_up(m, c, r);
	}
	return result(m);
}

/* Complete and synced, and the owner's. 0 or -errno. */
static int fill(struct copy *c, int from)
{
	int r = copy_fill(c, from);

	if (r == 0)
		r = copy_sync(c);
	return r ? r : copy_give(c);
}

int copies_own(struct maildir *m, const struct tx *tx, struct mailbox *box, int error)
{
	struct copy *old = box->copy;
	bool in_tmp = copy_lacks_links(error);
	OWNED_FD int from = -1;
	int r;

	/* in the same directory it would be the same again */
	if (old->new_dir == box->new_dir && (!in_tmp || old->tmp_dir >= 0))
		return error;
	from = copy_open_again(old);
	if (from < 0)
		return error;
	r = add_copy(m, tx, box, in_tmp);
	if (r < 0)
		return r;
	old->n_planned--;
	box->copy->n_planned++;
	r = fill(box->copy, from);
	return r < 0 ? give_up(m, box->copy, r) : 0;
}
