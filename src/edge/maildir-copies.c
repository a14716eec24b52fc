/*
 * Promises that a file system which fails is given up with its own Maildirs and with no other. Refuses to know
 * who is told, and what the files become.
 */
#include "edge/maildir-copies.h"
#include <errno.h>
#include <unistd.h>
#include "edge/mailbox.h"
#include "edge/maildir-file.h"

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

/* What the file cannot have, no other of that owner can on that file system: they are not tried. */
static void give_up(struct maildir *m, const struct copy *c, int error)
{
	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		bool is_alike = box->device == c->device && box->owner == c->owner;
		if (box->copy != c && (box->copy || box->error || !is_alike))
			continue;
		box->copy = NULL;
		mailbox_fail(box, c->part, error);
	}
}

int copies_begin(struct maildir *m, const struct tx *tx)
{
	int r = -ENOENT;

	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		r = box->error ? box->error : add_copy(m, tx, box, false);
		if (r < 0)
			continue;
		m->first = box->copy;
		break;
	}
	return r;
}

/* Goes on in a file of another file system, from what came so far. 0 or -errno. */
static int move_on(struct maildir *m, const struct tx *tx, int error)
{
	struct copy *from = m->first;
	int r;

	give_up(m, from, error);
	while ((r = copies_begin(m, tx)) == 0) {
		r = copy_fill(m->first, from);
		if (r == 0)
			break;
		give_up(m, m->first, r);
		copy_close(m->first);
	}
	copy_close(from);
	return r;
}

int copies_write(struct maildir *m, const struct tx *tx, struct span text)
{
	int r;

	while ((r = copy_write(m->first, &text)) < 0) {
		r = move_on(m, tx, r);
		if (r < 0)
			break;
	}
	return r;
}

/* The copy that may be linked into the box: same file system, same owner, names left. */
static struct copy *find_copy(struct maildir *m, const struct mailbox *box)
{
	for (size_t i = 0; i < m->n_copies; i++) {
		struct copy *c = &m->copies[i];
		if (c->fd >= 0 && c->device == box->device && c->owner == box->owner &&
			c->n_planned < MAILDIR_LINKS_MAX)
			return c;
	}
	return NULL;
}

/* Makes one more copy of `from`, complete and synced, for the box to begin with. 0 or -errno. */
static int make_copy(struct maildir *m, const struct tx *tx, struct mailbox *box,
	const struct copy *from, bool in_tmp)
{
	int r = add_copy(m, tx, box, in_tmp);
	struct copy *c = box->copy;

	if (r < 0)
		return r;
	r = copy_fill(c, from);
	if (r == 0)
		r = copy_sync(c);
	if (r < 0) {
		give_up(m, c, r);
		copy_close(c);
	}
	return r;
}

/* Finds or makes the copy for the box, unless it has an error. */
static void plan_box(struct maildir *m, const struct tx *tx, struct mailbox *box)
{
	if (box->error)
		return;
	if (!box->copy)
		box->copy = find_copy(m, box);
	if (box->copy || make_copy(m, tx, box, m->first, false) == 0)
		box->copy->n_planned++;
}

/* Each file to its owner, after the last one was filled. 0, or -errno where no Maildir has a file left. */
static int give_all(struct maildir *m)
{
	int error = 0;
	bool is_any = false;

	for (size_t i = 0; i < m->n_copies; i++) {
		const struct copy *c = &m->copies[i];
		int r = c->n_planned ? copy_give(c) : 0;
		if (r == 0)
			continue;
		give_up(m, c, r);
		error = r;
	}
	for (size_t i = 0; i < m->n_boxes; i++)
		is_any |= m->boxes[i].copy != NULL;
	return is_any ? 0 : error;
}

int copies_finish(struct maildir *m, const struct tx *tx)
{
	int r = copy_sync(m->first);

	if (r < 0)
		give_up(m, m->first, r);
	for (size_t i = 0; i < m->n_boxes && r == 0; i++)
		plan_box(m, tx, &m->boxes[i]);
	return r < 0 ? r : give_all(m);
}

int copies_own(struct maildir *m, const struct tx *tx, struct mailbox *box, int error)
{
	struct copy *old = box->copy;
	bool in_tmp = copy_lacks_links(error);
	int r;

	/* in the same directory it would be the same again */
	if (old->new_dir == box->new_dir && (!in_tmp || old->tmp_dir >= 0))
		return error;
	/* that file has the same owner already: the first one may have another */
	r = make_copy(m, tx, box, old, in_tmp);
	if (r == 0)
		r = copy_give(box->copy);
	if (r < 0)
		return r;
	old->n_planned--;
	box->copy->n_planned++;
	return 0;
}

int copies_close_own(struct copy *c)
{
	int r = copy_sync(c);

	if (r == 0 && fsync(c->new_dir) < 0)
		r = -errno;
	if (r == 0)
		r = copy_sync_tmp(c);
	copy_close(c);
	c->error = r;
	return r;
}
