/*
 * Promises that a message is durable in every Maildir before it is accepted: write,
 * fsync, link, fsync the file again (or a file system without a journal may lose the link
 * count), fsync each directory. Refuses to know who may receive mail. All that can fail
 * is done for all Maildirs before the first link; a failure after it takes back what was
 * linked.
 */
#include "edge/maildir.h"
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/mailbox.h"
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
	if (error == -ENOENT || error == -ENOTDIR)
		return reply_get(REPLY_MAILBOX_UNKNOWN);
	return failure(error);
}

static const struct reply *maildir_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	struct maildir *m = maildir_of(st);
	char path[MAILBOX_PATH_MAX];
	struct buf b = BUF(path);
	struct mailbox box;
	int error;

	(void)tx;
	if (recipients_path(&m->recipients, r, &b) != RECIPIENTS_FOUND)
		return reply_get(REPLY_MAILBOX_NAME);
	error = mailbox_open(&box, m->root, path);
	if (error < 0 && !(error == -ENOENT && m->create)) {
		mailbox_close(&box);
		return open_failure(error);
	}
	if (box.new_dir >= m->max_fd) {
		mailbox_close(&box);
		return reply_get(REPLY_RECIPIENT_MANY);
	}
	return add_box(m, &box, &r->slot);
}

/*
 * A Maildir is created when content is about to come, not for each address that is tried.
 */
static int create_missing(struct maildir *m)
{
	int r = 0;

	for (size_t i = 0; i < m->n_boxes && r == 0; i++)
		if (m->boxes[i].new_dir < 0)
			r = mailbox_create(&m->boxes[i], m->root);
	return r;
}

/* Adds a file beside the box's directory. 0 or -errno. */
static int add_copy(struct maildir *m, const struct tx *tx, const struct mailbox *box)
{
	char name[TX_FILE_MAX];

	copy_make_name(name, tx->id, m->n_copies, m->host, -1);
	return copy_open(&m->copies[m->n_copies++], box->new_dir, name);
}

static const struct reply *maildir_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct maildir *m = maildir_of(st);
	int r = create_missing(m);

	if (r == 0 && !(m->copies = calloc(m->n_boxes, sizeof(*m->copies))))
		r = -ENOMEM;
	if (r == 0)
		r = add_copy(m, tx, &m->boxes[0]);
	if (r == 0)
		r = copy_write(&m->copies[0], trace);
	return r < 0 ? failure(r) : NULL;
}

static const struct reply *maildir_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	int r = copy_write(&maildir_of(st)->copies[0], text);

	(void)tx;
	return r < 0 ? failure(r) : NULL;
}

/* The copy that may be linked into the box: same file system, same owner, names left. */
static struct copy *find_copy(struct maildir *m, const struct mailbox *box)
{
	for (size_t i = 0; i < m->n_copies; i++) {
		struct copy *c = &m->copies[i];
		if (c->device == box->device && c->owner == box->owner &&
			c->n_planned < MAILDIR_LINKS_MAX)
			return c;
	}
	return NULL;
}

/* Finds or makes the copy for the box, complete and synced. 0 or -errno. */
static int plan_box(struct maildir *m, const struct tx *tx, struct mailbox *box)
{
	struct copy *c = find_copy(m, box);
	int r = 0;

	if (!c) {
		r = add_copy(m, tx, box);
		c = &m->copies[m->n_copies - 1];
		if (r == 0)
			r = copy_fill(c, &m->copies[0]);
		if (r == 0)
			r = copy_sync(c);
	}
	c->n_planned++;
	box->copy = c;
	return r;
}

/* Says so of every recipient whose mail the box would have held. */
static void refuse_box(struct tx *tx, size_t slot, const struct reply *reply)
{
	for (size_t i = 0; i < tx->n_recipients; i++)
		if (tx->recipients[i].slot == slot)
			tx->recipients[i].reply = reply;
}

static const struct reply *maildir_prepare(struct stage *st, struct tx *tx)
{
	struct maildir *m = maildir_of(st);
	int r = copy_sync(&m->copies[0]);

	if (r < 0)
		return failure(r);
	for (size_t i = 0; i < m->n_boxes; i++) {
		r = plan_box(m, tx, &m->boxes[i]);
		if (r < 0)
			refuse_box(tx, i, failure(r));
	}
	return NULL;
}

/* Never over an existing file: another name is tried. */
static int link_box(struct maildir *m, const struct tx *tx, struct mailbox *box)
{
	int r = copy_link_new(box->copy, box->new_dir, tx->id, m->host, box->name);

	box->linked = r == 0;
	return r;
}

static int link_all(struct maildir *m, const struct tx *tx)
{
	int r = 0;

	for (size_t i = 0; i < m->n_boxes && r == 0; i++)
		r = link_box(m, tx, &m->boxes[i]);
	for (size_t i = 0; i < m->n_copies && r == 0; i++)
		r = copy_sync(&m->copies[i]);
	for (size_t i = 0; i < m->n_boxes && r == 0; i++)
		if (fsync(m->boxes[i].new_dir) < 0)
			r = -errno;
	return r;
}

/* What a reader has moved to cur already is his: he sees that message twice. */
static void unlink_all(struct maildir *m)
{
	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		if (box->linked && unlinkat(box->new_dir, box->name, 0) == 0)
			fsync(box->new_dir);
	}
}

static const struct reply *maildir_commit(struct stage *st, struct tx *tx)
{
	struct maildir *m = maildir_of(st);
	int r = link_all(m, tx);

	if (r < 0) {
		unlink_all(m);
		return failure(r);
	}
	memcpy(tx->file, m->boxes[0].name, sizeof(tx->file));
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
	m->copies = NULL;
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

void maildir_init(struct maildir *m, const struct recipients *recipients, bool create,
	const char *host)
{
	struct rlimit files = { 0 };

	getrlimit(RLIMIT_NOFILE, &files);
	*m = (struct maildir){
		.max_fd = files.rlim_cur < INT_MAX ? (int)files.rlim_cur - FD_RESERVE
						   : INT_MAX,
		.stage.ops = &maildir_ops,
		.recipients = *recipients,
		.root = -1,
		.create = create,
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
