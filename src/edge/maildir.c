/*
 * Promises that a message is durable in every Maildir before it is accepted: write,
 * fsync, link, fsync the file again (or a file system without a journal may lose the link
 * count), fsync each directory. Refuses to know who may receive mail. All that can fail
 * is done for all Maildirs before the first link (but a file for one that no link
 * reaches); a failure after it takes back what was linked, of that Maildir alone where
 * its recipients can be told.
 */
#include "edge/maildir.h"
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/mailbox.h"
#include "edge/maildir-copies.h"
#include "edge/maildir-file.h"

#define FD_RESERVE 16 /* descriptors kept for files and logs */

static struct maildir *maildir_of(struct stage *st)
{
	return (struct maildir *)st;
}

static const struct reply *failure(int error)
{
	if (error == -ENOSPC || error == -EDQUOT)
		return reply_get(REPLY_STORE_FULL);
	return reply_get(error == -ENOMEM ? REPLY_NO_MEMORY : REPLY_STORE_FAILED);
}

/* The box with the same directory; n_boxes: none. */
static size_t find_box(const struct maildir *m, const struct mailbox *box)
{
	size_t i = 0;

	while (i < m->n_boxes && !mailbox_is_same(&m->boxes[i], box))
		i++;
	return i;
}

/* Takes over the box, unless the transaction has it already. NULL or a refusal. */
static const struct reply *add_box(
	struct maildir *m, struct mailbox *box, size_t *ret_slot)
{
	size_t i = find_box(m, box);
	struct mailbox *more;

	*ret_slot = i;
	if (i < m->n_boxes) {
		mailbox_close(box);
		return NULL;
	}
	more = reallocarray(m->boxes, m->n_boxes + 1, sizeof(*more));
	if (!more) {
		mailbox_close(box);
		return reply_get(REPLY_NO_MEMORY);
	}
	m->boxes = more;
	m->boxes[m->n_boxes++] = *box;
	return NULL;
}

static const struct reply *open_failure(int error)
{
	if (error == -EMFILE || error == -ENFILE)
		return reply_get(REPLY_RECIPIENT_MANY);
	return failure(error);
}

static const struct reply *search_failure(enum recipients_result result)
{
	static const enum reply_name names[] = {
		[RECIPIENTS_NAME] = REPLY_MAILBOX_NAME,
		[RECIPIENTS_UNKNOWN] = REPLY_MAILBOX_UNKNOWN,
		[RECIPIENTS_AUTH] = REPLY_AUTH_FIRST,
		[RECIPIENTS_FAILED] = REPLY_RECIPIENTS_FAILED,
	};

	return reply_get(names[result]);
}

/* True for a Maildir that is not there, and is not to be made. */
static bool is_absent(int error, const struct recipients_place *place)
{
	return error == -ENOTDIR || (error == -ENOENT && !place->may_create);
}

/* The first place that is there or may be made; always to be closed. NULL or a refusal. */
static const struct reply *find_place(struct maildir *m, const struct tx *tx,
	const struct recipient *r, struct mailbox *ret)
{
	struct recipients_search search;
	struct recipients_place place;
	int error;

	recipients_begin(&search, &m->recipients, r, tx->user);
	do {
		enum recipients_result result = recipients_next(&search, &place);
		if (result != RECIPIENTS_FOUND)
			return search_failure(result);
		mailbox_close(ret);
		error = mailbox_open(ret, m->root, place.path);
	} while (is_absent(error, &place));
	return error < 0 && error != -ENOENT ? open_failure(error) : NULL;
}

static const struct reply *maildir_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	struct maildir *m = maildir_of(st);
	struct mailbox box = { .new_dir = -1 };
	const struct reply *refusal = find_place(m, tx, r, &box);

	if (!refusal && box.new_dir >= m->max_fd)
		refusal = reply_get(REPLY_RECIPIENT_MANY);
	if (!refusal)
		return add_box(m, &box, &r->slot);
	mailbox_close(&box);
	return refusal;
}

/*
 * A Maildir is created when content is about to come, not for each address that is tried.
 */
static void create_missing(struct maildir *m)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		if (m->boxes[i].new_dir < 0)
			m->boxes[i].error = mailbox_create(&m->boxes[i], m->root);
}

static const struct reply *maildir_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct maildir *m = maildir_of(st);
	int r;

	create_missing(m);
	m->copies = calloc(m->n_boxes, sizeof(*m->copies));
	if (!m->copies)
		return reply_get(REPLY_NO_MEMORY);
	r = copies_begin(m, tx);
	if (r == 0)
		r = copies_write(m, tx, trace);
	return r < 0 ? failure(r) : NULL;
}

static const struct reply *maildir_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	int r = copies_write(maildir_of(st), tx, text);

	return r < 0 ? failure(r) : NULL;
}

/* Says so of every recipient whose Maildir cannot have the message. */
static void refuse_recipients(const struct maildir *m, struct tx *tx)
{
	for (size_t i = 0; i < tx->n_recipients; i++) {
		struct recipient *to = &tx->recipients[i];
		if (m->boxes[to->slot].error)
			to->reply = failure(m->boxes[to->slot].error);
	}
}

static const struct reply *maildir_prepare(struct stage *st, struct tx *tx)
{
	struct maildir *m = maildir_of(st);
	int r = copies_finish(m, tx);

	if (r < 0)
		return failure(r);
	refuse_recipients(m, tx);
	return NULL;
}

/* Never over an existing file: another name is tried. */
static int link_box(struct maildir *m, const struct tx *tx, struct mailbox *box)
{
	int r = copy_link_new(box->copy, box->new_dir, tx->id, m->host, box->name);

	box->linked = r == 0;
	return r;
}

/* Directories of one file system may be apart all the same: mounts, or quotas of projects. */
static int link_apart(struct maildir *m, const struct tx *tx, struct mailbox *box)
{
	int r = link_box(m, tx, box);

	if (r == -EXDEV)
		r = copies_own(m, tx, box);
	if (r == 0 && !box->linked)
		r = link_box(m, tx, box);
	return r;
}

/* What is durable in the box, or why it is not. */
static int sync_box(const struct mailbox *box)
{
	if (box->copy->error)
		return box->copy->error;
	return fsync(box->new_dir) < 0 ? -errno : 0;
}

/* A box that fails does so for itself, where its recipients can be told; else it stops all. */
static int settle(struct mailbox *box, const struct tx *tx, int error)
{
	box->error = error;
	return tx->each ? 0 : error;
}

static int link_all(struct maildir *m, const struct tx *tx)
{
	int r = 0;

	for (size_t i = 0; i < m->n_boxes && r == 0; i++)
		if (m->boxes[i].copy)
			r = settle(&m->boxes[i], tx, link_apart(m, tx, &m->boxes[i]));
	for (size_t i = 0; i < m->n_copies && r == 0; i++)
		if (m->copies[i].n_planned)
			m->copies[i].error = copy_sync(&m->copies[i]);
	for (size_t i = 0; i < m->n_boxes && r == 0; i++)
		if (m->boxes[i].copy && m->boxes[i].linked)
			r = settle(&m->boxes[i], tx, sync_box(&m->boxes[i]));
	return r;
}

/* From boxes that failed, or from all. What a reader has moved to cur already is his: he sees that message twice. */
static void take_back(struct maildir *m, bool all)
{
	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		if (!box->linked || !(all || box->error))
			continue;
		box->linked = false;
		if (unlinkat(box->new_dir, box->name, 0) == 0)
			fsync(box->new_dir);
	}
}

/* Of the first box that has the message. */
static void note_name(const struct maildir *m, struct tx *tx)
{
	size_t i = 0;

	while (i < m->n_boxes && !m->boxes[i].linked)
		i++;
	if (i < m->n_boxes)
		memcpy(tx->file, m->boxes[i].name, sizeof(tx->file));
}

static const struct reply *maildir_commit(struct stage *st, struct tx *tx)
{
	struct maildir *m = maildir_of(st);
	int r = link_all(m, tx);

	take_back(m, r < 0);
	if (r < 0)
		return failure(r);
	refuse_recipients(m, tx);
	note_name(m, tx);
	return NULL;
}

static void maildir_clear(struct stage *st)
{
	struct maildir *m = maildir_of(st);

	for (size_t i = 0; i < m->n_copies; i++)
		copy_close(&m->copies[i]);
	for (size_t i = 0; i < m->n_boxes; i++)
		mailbox_close(&m->boxes[i]);
	free(m->copies);
	free(m->boxes);
	m->copies = m->first = NULL;
	m->boxes = NULL;
	m->n_copies = m->n_boxes = 0;
}

static const struct stage_ops maildir_ops = {
	.rcpt = maildir_rcpt,
	.data = maildir_data,
	.body = maildir_body,
	.prepare = maildir_prepare,
	.commit = maildir_commit,
	.clear = maildir_clear,
};

void maildir_init(
	struct maildir *m, const struct recipients *recipients, const char *host)
{
	struct rlimit files = { 0 };

	getrlimit(RLIMIT_NOFILE, &files);
	*m = (struct maildir){
		.max_fd = files.rlim_cur < INT_MAX ? (int)files.rlim_cur - FD_RESERVE
						   : INT_MAX,
		.stage.ops = &maildir_ops,
		.recipients = *recipients,
		.root = -1,
		.host = host,
	};
}

void maildir_host(struct buf *to, struct span hostname)
{
	for (size_t i = 0; i < hostname.n; i++) {
		char c = hostname.p[i];
		if (c == '/')
			buf_put(to, SPAN("\\057"));
		else if (c == ':')
			buf_put(to, SPAN("\\072"));
		else if (c > 32 && c < 127)
			buf_put_char(to, c);
	}
	buf_terminate(to);
}
