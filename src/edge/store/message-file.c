/* SPDX-License-Identifier: ISC */
/*
 * The files of a message on its way into Maildirs. An unfinished file has no name in
 * `new`: with O_TMPFILE it has no name at all, so that a killed process leaves no file;
 * on other file systems it is in tmp, as in every Maildir. If a file cannot have two
 * names, it is moved out of tmp, never over another file. A failing file system affects
 * only its own Maildirs.
 */
#include "edge/store/message-file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/store/mailbox-walk.h"
#include "edge/store/mailbox.h"
#include "proto/received.h"

#define FILE_MODE 0600
#define SENDFILE_MAX 0x7ffff000 /* octets that Linux moves in one call */

/*
 * True for a removed directory, in which ext4 returns EPERM. Some file systems have a
 * link count of 0 for existing directories.
 */
static bool is_removed(const struct stat *dir, int error)
{
	return error == EPERM && dir->st_nlink == 0;
}

/* Makes a file with a new name in tmp. Returns a descriptor, or -errno. */
static int open_in_tmp(
	struct message_file *c, const struct mailbox *box, const char *name)
{
	struct buf kept = BUF(c->tmp_name);
	int fd;

	c->part = "tmp";
	c->tmp_dir = box->tmp_dir;
	fd = walk_become(c->root, c->tmp_dir);
	if (fd < 0)
		return fd;
	fd = openat(c->tmp_dir, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return -errno;
	buf_put_str(&kept, name);
	buf_terminate(&kept);
	return fd;
}

int message_file_open(
	struct message_file *c, const struct mailbox *box, const char *name, bool in_tmp)
{
	struct stat st;
	int r;

	*c = (struct message_file){ .root = box->root,
		.fd = -1,
		.new_dir = box->new_dir,
		.tmp_dir = -1,
		.part = "new",
		.mount = box->mount,
		.project = box->project };
	if (fstat(box->new_dir, &st) < 0)
		return -errno;
	c->device = st.st_dev;
	c->owner = st.st_uid;
	c->group = st.st_gid;
	r = walk_become(c->root, box->new_dir);
	if (r < 0)
		return r;
	if (!in_tmp) {
		c->fd = openat(
			box->new_dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, FILE_MODE);
		if (c->fd < 0 && !file_needs_name(errno))
			return is_removed(&st, errno) ? -ENOENT : -errno;
	}
	if (c->fd < 0)
		c->fd = open_in_tmp(c, box, name);
	return c->fd < 0 ? c->fd : 0;
}

int message_file_give(const struct message_file *c)
{
	if (c->root->as_owner || geteuid() != 0 || c->owner == 0)
		return 0;
	return fchown(c->fd, c->owner, c->group) < 0 ? -errno : 0;
}

int message_file_write(struct message_file *c, struct span *text)
{
	while (text->n) {
		ssize_t put = write(c->fd, text->p, text->n);
		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0)
			*text = span_from(*text, (size_t)put);
	}
	return 0;
}

/*
 * True when the file can be linked into the mailbox. If the file has a name in tmp, this
 * is tried, because such file systems may have no hard links, or none between some
 * directories. Other file systems have them if the values compared here are equal.
 */
static bool reaches(struct message_file *c, const struct mailbox *box)
{
	if (c->fd < 0 || c->alone || c->device != box->device || c->mount != box->mount ||
		c->project != box->project || c->owner != box->owner)
		return false;
	if (!c->tmp_name[0])
		return true;
	c->alone = walk_become(c->root, c->tmp_dir) < 0 ||
		   linkat(c->tmp_dir, c->tmp_name, box->tmp_dir, c->tmp_name, 0) < 0;
	if (!c->alone)
		unlinkat(box->tmp_dir, c->tmp_name, 0);
	return !c->alone;
}

/*
 * Returns a descriptor for reading the file, or -errno; -EACCES in a sandbox with
 * Landlock.
 */
static int open_again(const struct message_file *c)
{
	char path[FILE_PROC_MAX];
	int fd = walk_become(c->root, c->new_dir);

	if (fd < 0)
		return fd;
	file_proc_path(path, c->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Copies the other file from its beginning. */
static int fill_from(struct message_file *c, int from)
{
	off_t at = 0;
	ssize_t n;

	do {
		n = sendfile(c->fd, from, &at, SENDFILE_MAX);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

int message_file_sync(const struct message_file *c)
{
	return fsync(c->fd) < 0 ? -errno : 0;
}

int message_file_sync_tmp(const struct message_file *c)
{
	return c->moved && fsync(c->tmp_dir) < 0 ? -errno : 0;
}

void message_file_make_name(char name[static TX_FILE_MAX], const char *id, size_t try,
	const char *host, off_t size)
{
	struct buf b = { .p = name, .cap = TX_FILE_MAX };

	buf_put_str(&b, id);
	if (try > 0) {
		buf_put_char(&b, 'R');
		buf_put_num(&b, try);
	}
	buf_put_char(&b, '.');
	buf_put_str(&b, host);
	if (size >= 0) {
		buf_put(&b, SPAN(",S="));
		buf_put_num(&b, (uint64_t)size);
	}
	buf_terminate(&b);
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

bool message_file_lacks_links(int error)
{
	return error == -EPERM || error == -EOPNOTSUPP || error == -ENOSYS ||
	       error == -EMLINK;
}

static int move(struct message_file *c, int new_dir, const char *name)
{
	int r = file_move(c->tmp_dir, c->tmp_name, new_dir, name);

	if (r < 0)
		return r;
	c->moved = true;
	c->tmp_name[0] = '\0';
	return 0;
}

/* Links the file. -EEXIST: another file has that name. */
static int link_as(struct message_file *c, int new_dir, const char *name)
{
	if (c->tmp_dir < 0)
		return c->root->as_owner ? file_link_by_proc(c->fd, new_dir, name)
					 : file_link_nameless(c->fd, new_dir, name);
	if (c->moved)
		return -EPERM;
	if (linkat(c->tmp_dir, c->tmp_name, new_dir, name, 0) == 0)
		return 0;
	return message_file_lacks_links(-errno) ? move(c, new_dir, name) : -errno;
}

int message_file_link_new(struct message_file *c, int new_dir, const char *id,
	const char *host, char ret_name[static TX_FILE_MAX])
{
	struct stat st;
	int r = fstat(c->fd, &st) < 0 ? -errno : walk_become(c->root, new_dir);

	if (r < 0)
		return r;
	r = -EEXIST;
	for (size_t try = 0; r == -EEXIST && try < MESSAGE_NAME_TRIES; try++) {
		message_file_make_name(ret_name, id, try, host, st.st_size);
		r = link_as(c, new_dir, ret_name);
	}
	return r;
}

void message_file_close(struct message_file *c)
{
	if (c->tmp_name[0] && walk_become(c->root, c->tmp_dir) == 0)
		unlinkat(c->tmp_dir, c->tmp_name, 0);
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct message_file){ .fd = -1, .tmp_dir = -1 };
}

/* Adds a file in the box. An error affects this Maildir only. */
static int add_file(
	struct maildir *m, const struct tx *tx, struct mailbox *box, bool in_tmp)
{
	struct message_file *c = &m->files[m->n_files];
	char name[TX_FILE_MAX];
	int r;

	message_file_make_name(name, tx->id, m->n_files, m->host, -1);
	r = message_file_open(c, box, name, in_tmp);
	if (r < 0) {
		mailbox_fail(box, c->part, r);
		message_file_close(c);
		return r;
	}
	m->n_files++;
	box->file = c;
	return 0;
}

/*
 * Gives up a file, without which none of its boxes can get the message. Returns `error`.
 */
static int give_up(struct maildir *m, struct message_file *c, int error)
{
	const char *part = c->part;

	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		if (box->file != c)
			continue;
		box->file = NULL;
		mailbox_fail(box, part, error);
	}
	message_file_close(c);
	return error;
}

/* Returns 0 if any box has a file; else the error of the first box. */
static int result(const struct maildir *m)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		if (m->boxes[i].file)
			return 0;
	return m->boxes[0].error;
}

/* Returns a file that can be linked into the box, or NULL. */
static struct message_file *find_file(struct maildir *m, const struct mailbox *box)
{
	if (m->original_to)
		return NULL;
	for (size_t i = 0; i < m->n_files; i++) {
		struct message_file *c = &m->files[i];
		if (c->n_planned < MAILDIR_LINKS_MAX && reaches(c, box))
			return c;
	}
	return NULL;
}

int message_files_begin(struct maildir *m, const struct tx *tx)
{
	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		if (box->error || mailbox_judge_owners(box) < 0 ||
			(m->n_boxes > 1 && mailbox_learn(box) < 0))
			continue;
		box->file = find_file(m, box);
		if (box->file || add_file(m, tx, box, false) == 0)
			box->file->n_planned++;
	}
	return result(m);
}

static bool has_goal(const struct maildir *m, const struct recipient *r, size_t number)
{
	for (size_t i = 0; i < r->n_slots; i++)
		if (m->goals[r->slot + i] == number)
			return true;
	return false;
}

/*
 * Appends text to the buffer, which is written before if the text does not fit. 0 or
 * -errno.
 */
static int put(struct message_file *c, struct buf *b, struct span text)
{
	struct span before = buf_span(b);
	int r;

	if (text.n <= buf_room(b)) {
		buf_put(b, text);
		return 0;
	}
	b->n = 0;
	r = message_file_write(c, &before);
	return r ? r : message_file_write(c, &text);
}

int message_trace_begin(
	struct message_trace *t, struct message_file *file, struct span trace)
{
	t->file = file;
	t->b = BUF(t->octets);
	t->rest = trace;
	span_take_line(&t->rest);
	return put(file, &t->b, (struct span){ trace.p, trace.n - t->rest.n });
}

int message_trace_put(struct message_trace *t, struct span name, struct span value)
{
	int r = put(t->file, &t->b, name);

	if (r == 0)
		r = put(t->file, &t->b, value);
	return r ? r : put(t->file, &t->b, SPAN("\n"));
}

int message_trace_end(struct message_trace *t)
{
	struct span text;
	int r = put(t->file, &t->b, t->rest);

	text = buf_span(&t->b);
	return r ? r : message_file_write(t->file, &text);
}

/* Writes the whole trace header of one box. 0 or -errno. */
static int write_trace(
	struct maildir *m, const struct tx *tx, size_t number, struct span trace)
{
	const struct mailbox *box = &m->boxes[number];
	struct message_trace t;
	int r = message_trace_begin(&t, box->file, trace);

	for (size_t i = 0; i < tx->n_recipients && r == 0; i++)
		if (has_goal(m, &tx->recipients[i], number))
			r = message_trace_put(
				&t, SPAN(FIELD_ORIGINAL_TO), tx->recipients[i].mailbox);
	if (r == 0)
		r = message_trace_put(
			&t, SPAN(FIELD_DELIVERED_TO), span_of(box->address));
	return r ? r : message_trace_end(&t);
}

int message_files_write_trace(struct maildir *m, const struct tx *tx, struct span trace)
{
	if (!m->original_to)
		return message_files_write(m, trace);
	for (size_t i = 0; i < m->n_boxes; i++) {
		int r = m->boxes[i].file ? write_trace(m, tx, i, trace) : 0;
		if (r < 0)
			give_up(m, m->boxes[i].file, r);
	}
	return result(m);
}

int message_files_write(struct maildir *m, struct span text)
{
	int error = 0;

	for (size_t i = 0; i < m->n_files; i++) {
		struct message_file *c = &m->files[i];
		struct span rest = text;
		int r = c->fd >= 0 ? message_file_write(c, &rest) : 0;
		if (r < 0)
			error = give_up(m, c, r);
	}
	return error ? result(m) : 0;
}

int message_files_finish(struct maildir *m)
{
	for (size_t i = 0; i < m->n_files; i++) {
		struct message_file *c = &m->files[i];
		int r = c->fd >= 0 ? message_file_sync(c) : 0;
		if (r == 0 && c->fd >= 0)
			r = message_file_give(c);
		if (r < 0)
			give_up(m, c, r);
	}
	return result(m);
}

/* Completes and syncs the file, and gives it to the owner. 0 or -errno. */
static int fill(struct message_file *c, int from)
{
	int r = fill_from(c, from);

	if (r == 0 && !c->root->later)
		r = message_file_sync(c);
	return r ? r : message_file_give(c);
}

int message_files_own(
	struct maildir *m, const struct tx *tx, struct mailbox *box, int error)
{
	struct message_file *old = box->file;
	bool in_tmp = message_file_lacks_links(error);
	OWNED_FD int from = -1;
	int r;

	/* each box has had two then */
	if (m->n_files == 2 * m->n_boxes)
		return error;
	/* a file in the same directory would fail again */
	if (old->new_dir == box->new_dir && (!in_tmp || old->tmp_dir >= 0))
		return error;
	from = open_again(old);
	if (from < 0)
		return error;
	r = add_file(m, tx, box, in_tmp);
	if (r < 0)
		return r;
	old->n_planned--;
	box->file->n_planned++;
	r = fill(box->file, from);
	return r < 0 ? give_up(m, box->file, r) : 0;
}
