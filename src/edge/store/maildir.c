/* SPDX-License-Identifier: ISC */
/*
 * The stage that stores a message in its Maildirs. The message is durable in each of them
 * before it is accepted: write, fsync, link, fsync the file again (or a file system
 * without a journal may lose the link count), fsync each directory. Everything that can
 * fail is done for all Maildirs before the first link (except a file for a Maildir that
 * links cannot reach). After a later failure links are removed: only those of this
 * Maildir if each recipient gets its own reply, else all of them, and all of them for a
 * recipient that a filter added, which gets no reply.
 */
#include "edge/store/store.h"
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/store/hangs.h"
#include "edge/store/mailbox-walk.h"
#include "edge/store/mailbox.h"
#include "edge/store/maildir-parts.h"
#include "edge/store/message-file.h"

#define FD_RESERVE 16 /* descriptors kept for files and logs */
/* descriptors of the connection, mail-root, the log and tables, usually */
#define FD_OPEN 8
#define FD_EACH 4 /* the directory, its `new` and `tmp`, and a file */
#define FD_MADE 2 /* directories that were made and are synced later */

static struct maildir *maildir_of(struct stage *st)
{
	return (struct maildir *)st;
}

/*
 * Creates, or completes, Maildirs before the content, so that they are not made for each
 * address that a client tries. After a failure the box has an error.
 */
static void create_missing(struct maildir *m)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		if (!m->boxes[i].complete)
			mailbox_create(&m->boxes[i]);
}

int maildir_open_files(struct maildir *m, const struct tx *tx)
{
	create_missing(m);
	/*
	 * each box has at most one of its own, and another one if that cannot be linked
	 */
	m->files = calloc(2 * m->n_boxes, sizeof(*m->files));
	return m->files ? message_files_begin(m, tx) : -ENOMEM;
}

static const struct reply *maildir_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct maildir *m = maildir_of(st);
	int r = maildir_open_files(m, tx);

	if (r == 0)
		r = message_files_write_trace(m, tx, trace);
	return r < 0 ? maildir_fail_all(m, r) : NULL;
}

static const struct reply *maildir_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	struct maildir *m = maildir_of(st);
	int r = message_files_write(m, text);

	(void)tx;
	return r < 0 ? maildir_fail_all(m, r) : NULL;
}

/* Returns the first box of the recipient that cannot get the message, or NULL. */
static const struct mailbox *find_failed(
	const struct maildir *m, const struct recipient *r)
{
	for (size_t i = 0; i < r->n_slots; i++) {
		const struct mailbox *box = &m->boxes[m->goals[r->slot + i]];
		if (box->error)
			return box;
	}
	return NULL;
}

void maildir_refuse_recipients(struct maildir *m, struct tx *tx)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		m->boxes[i].wanted = false;
	for (size_t i = 0; i < tx->n_recipients; i++) {
		struct recipient *to = &tx->recipients[i];
		const struct mailbox *failed = find_failed(m, to);
		if (failed) {
			maildir_note_box(m, failed);
			to->reply = maildir_failure(failed->error);
		}
		for (size_t j = 0; !to->reply && j < to->n_slots; j++)
			m->boxes[m->goals[to->slot + j]].wanted = true;
	}
}

static const struct reply *maildir_prepare(struct stage *st, struct tx *tx)
{
	struct maildir *m = maildir_of(st);
	int r = message_files_finish(m);

	if (r < 0)
		return maildir_fail_all(m, r);
	maildir_refuse_recipients(m, tx);
	return NULL;
}

/* Links the file, never over an existing one: another name is tried. */
static int link_box(struct maildir *m, const struct tx *tx, struct mailbox *box)
{
	int r = mailbox_judge_owners(box);

	if (r == 0)
		r = message_file_link_new(
			box->file, box->new_dir, tx->id, m->host, box->name);
	box->linked = r == 0;
	return r;
}

/* Handles directories between which links should be possible but are not. */
static int link_apart(
	struct maildir *m, const struct tx *tx, struct mailbox *box, bool *ret_again)
{
	const struct message_file *before = box->file;
	int r = link_box(m, tx, box);

	if (r == -EXDEV || message_file_lacks_links(r))
		r = message_files_own(m, tx, box, r);
	if (r < 0 || box->linked)
		return r;
	*ret_again |= m->root.later && box->file != before;
	return m->root.later ? 0 : link_box(m, tx, box);
}

/* Makes the file in the box durable. 0 or -errno. */
static int sync_box(const struct mailbox *box)
{
	if (box->file->error)
		return box->file->error;
	if (fsync(box->new_dir) < 0)
		return -errno;
	return message_file_sync_tmp(box->file);
}

/*
 * A failed box affects only its own recipients if each gets a reply of its own; else it
 * fails the whole transaction.
 */
static int settle(struct mailbox *box, const struct tx *tx, int error)
{
	mailbox_fail(box, "new", error);
	return tx->each ? 0 : error;
}

/* What is durable in the box only when another process has synced it. */
static int sync_later(const struct maildir *m, size_t number)
{
	const struct mailbox *box = &m->boxes[number];
	int r = syncs_add(m->root.later, number, box->new_dir);

	if (r == 0 && box->file->moved)
		r = syncs_add(m->root.later, number, box->file->tmp_dir);
	return r;
}

int maildir_link(struct maildir *m, const struct tx *tx, bool *ret_again)
{
	int r = 0;

	*ret_again = false;
	for (size_t i = 0; i < m->n_boxes && r == 0; i++) {
		struct mailbox *box = &m->boxes[i];
		if (!box->file || !box->wanted || box->linked)
			continue;
		r = settle(box, tx, link_apart(m, tx, box, ret_again));
		if (r == 0 && box->linked && m->root.later)
			r = sync_later(m, i);
	}
	return r;
}

static int sync_all(struct maildir *m, const struct tx *tx)
{
	int r = 0;

	for (size_t i = 0; i < m->n_files && r == 0; i++)
		if (m->files[i].n_planned)
			m->files[i].error = message_file_sync(&m->files[i]);
	for (size_t i = 0; i < m->n_boxes && r == 0; i++)
		if (m->boxes[i].file && m->boxes[i].linked)
			r = settle(&m->boxes[i], tx, sync_box(&m->boxes[i]));
	return r;
}

void maildir_take_back(struct maildir *m, bool all)
{
	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		if (!box->linked || (!all && !box->error && box->wanted))
			continue;
		box->linked = false;
		/* it is removed in any case: this broker has linked it */
		hang_step(m->root.mark, box->path, box->device);
		if (walk_become(&m->root, box->new_dir) == 0 &&
			unlinkat(box->new_dir, box->name, 0) == 0 && !m->root.later)
			fsync(box->new_dir);
	}
}

void maildir_note_name(const struct maildir *m, struct tx *tx)
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
	const struct reply *refusal;
	bool again;
	int r;

	maildir_refuse_recipients(m, tx); /* a later stage may have refused recipients */
	r = maildir_link(m, tx, &again);
	if (r == 0)
		r = sync_all(m, tx);
	if (r == 0)
		maildir_refuse_recipients(m, tx);
	refusal = r < 0 ? maildir_fail_all(m, r) : tx_refusal_of_added(tx);
	maildir_take_back(m, refusal);
	if (!refusal)
		maildir_note_name(m, tx);
	return refusal;
}

void maildir_clear(struct stage *st)
{
	struct maildir *m = maildir_of(st);

	for (size_t i = 0; i < m->n_boxes; i++) {
		if (!m->boxes[i].file)
			continue;
		hang_step(m->root.mark, m->boxes[i].path, m->boxes[i].device);
		message_file_close(m->boxes[i].file);
	}
	for (size_t i = 0; i < m->n_files; i++)
		message_file_close(&m->files[i]);
	for (size_t i = 0; i < m->n_boxes; i++)
		mailbox_close(&m->boxes[i]);
	maildir_give_back(m);
	free(m->files);
	free(m->boxes);
	free(m->goals);
	m->files = NULL;
	m->boxes = NULL;
	m->goals = NULL;
	m->n_files = m->n_boxes = m->n_later = m->n_goals = 0;
	m->stage.fault = NULL;
}

static const struct stage_ops maildir_ops = {
	.rcpt = maildir_rcpt,
	.drop = maildir_drop,
	.data = maildir_data,
	.body = maildir_body,
	.prepare = maildir_prepare,
	.commit = maildir_commit,
	.clear = maildir_clear,
};

void maildir_init(
	struct maildir *m, const struct recipients *recipients, const char *host)
{
	struct rlimit files = { .rlim_cur = RLIM_INFINITY };

	getrlimit(RLIMIT_NOFILE, &files);
	*m = (struct maildir){
		.max_fd = files.rlim_cur < INT_MAX ? (int)files.rlim_cur - FD_RESERVE
						   : INT_MAX,
		.stage.ops = &maildir_ops,
		.recipients = *recipients,
		.root.fd = -1,
		.host = host,
	};
}

size_t maildir_most_recipients(const struct maildir *m, bool brokered, bool shared)
{
	size_t each =
		(FD_EACH + (brokered ? FD_MADE : 0)) * (shared ? SHARED_FDS_PART : 1);
	size_t n = m->max_fd > FD_OPEN ? (size_t)(m->max_fd - FD_OPEN) / each : 0;

	return n ? n : 1;
}
