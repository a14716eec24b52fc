/* SPDX-License-Identifier: ISC */
/*
 * The stage that stores a message in its Maildirs. The message is durable in each of them
 * before it is accepted: write, fsync, link, fsync the file again (or a file system
 * without a journal may lose the link count), fsync each directory. All that can fail is
 * done for all Maildirs before the first link (but a file for one that no link reaches);
 * a failure after it takes back what was linked: of that Maildir alone where its
 * recipients can get a reply each, else of all.
 */
#include "edge/store/store.h"
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/store/maildir-change.h"
#include "edge/store/message-file.h"

#define FD_RESERVE 16 /* descriptors kept for files and logs */
#define FD_OPEN 8 /* of the connection, mail-root, the log and tables, as a rule */
#define FD_EACH 4 /* the directory, its `new` and `tmp`, and a file */

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

/* The first fault of the transaction is the one that its record has. */
static bool may_note(const struct maildir *m)
{
	return !m->stage.fault;
}

static void note(struct maildir *m, struct buf *fault)
{
	m->fault[fault->n < sizeof(m->fault) ? fault->n : sizeof(m->fault) - 1] = '\0';
	m->stage.fault = m->fault;
}

static const char *root_path(const struct maildir *m)
{
	return m->recipients.root_path ? m->recipients.root_path : "";
}

static void note_box(struct maildir *m, const struct mailbox *box)
{
	struct buf b = BUF(m->fault);

	if (!may_note(m) || !box->error)
		return;
	mailbox_put_fault(box, root_path(m), &b);
	note(m, &b);
}

/* What is wrong with mail-root, or with all that is below it. */
static void note_root(struct maildir *m, const char *words)
{
	struct buf b = BUF(m->fault);

	if (!may_note(m))
		return;
	mailbox_put_path_fault(&b, root_path(m), NULL, NULL, words);
	note(m, &b);
}

/* The reply where no mailbox can have the message, for the reason of the first. */
static const struct reply *fail_all(struct maildir *m, int error)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		note_box(m, &m->boxes[i]);
	note_root(m, mailbox_words(error));
	return failure(error);
}

/* The box with the same directory; n_boxes: none. */
static size_t find_box(const struct maildir *m, const struct mailbox *box)
{
	size_t i = 0;

	while (i < m->n_boxes && !mailbox_is_same(&m->boxes[i], box))
		i++;
	return i;
}

/* Descriptors that the box gets when content is about to come. */
static size_t count_later(const struct mailbox *box)
{
	return (size_t)(box->new_dir < 0) + (size_t)(box->tmp_dir < 0);
}

/* Gives the recipient the box of that number, unless it has it. NULL or a refusal. */
static const struct reply *add_goal(struct maildir *m, struct recipient *r, size_t number)
{
	size_t *more;

	for (size_t i = 0; i < r->n_slots; i++)
		if (m->goals[r->slot + i] == number)
			return NULL;
	more = reallocarray(m->goals, m->n_goals + 1, sizeof(*more));
	if (!more)
		return fail_all(m, -ENOMEM);
	m->goals = more;
	m->goals[m->n_goals++] = number;
	r->n_slots++;
	return NULL;
}

/* Takes over the box, unless the transaction has it already. NULL or a refusal. */
static const struct reply *add_box(struct maildir *m, struct mailbox *box,
	struct recipient *r, const struct recipients_place *place)
{
	size_t i = find_box(m, box);
	struct mailbox *more;

	if (i < m->n_boxes) {
		mailbox_close(box);
		return add_goal(m, r, i);
	}
	more = reallocarray(m->boxes, m->n_boxes + 1, sizeof(*more));
	if (more)
		m->boxes = more;
	if (more && m->original_to)
		box->address = recipients_address(place);
	if (!more || (m->original_to && !box->address)) {
		mailbox_close(box);
		return fail_all(m, -ENOMEM);
	}
	m->n_later += count_later(box);
	m->boxes[m->n_boxes++] = *box;
	return add_goal(m, r, i);
}

void maildir_drop_boxes(struct maildir *m, struct recipient *r, size_t n_boxes)
{
	while (m->n_boxes > n_boxes) {
		struct mailbox *box = &m->boxes[--m->n_boxes];
		m->n_later -= count_later(box);
		mailbox_close(box);
	}
	m->n_goals = r->slot;
	r->n_slots = 0;
}

/*
 * Where there are more mailboxes than descriptors the client sends the rest in another
 * transaction, and the record has the reason. Without descriptors for a single one it
 * never can.
 */
static const struct reply *open_failure(
	struct maildir *m, const struct recipient *r, struct mailbox *box)
{
	bool is_many = box->error == -EMFILE && r->slot > 0;

	if (box->error == -EMFILE)
		box->why = "Too many open files: raise LimitNOFILE= of the unit, or "
			   "ulimit -n";
	note_box(m, box);
	return is_many ? reply_get(REPLY_RECIPIENT_MANY) : failure(box->error);
}

/* If the file of mail-root-marker is missing, so is perhaps mail's file system. */
static const struct reply *check_marker(struct maildir *m)
{
	const char *marker = m->recipients.marker;
	char words[RECIPIENTS_WORDS_MAX];
	struct stat st;

	if (!marker || fstatat(m->root, marker, &st, 0) == 0)
		return NULL;
	recipients_put_marker_fault(words, marker, errno);
	note_root(m, words);
	return reply_get(REPLY_STORE_FAILED);
}

/* Of an address that has no mailbox. */
static const struct reply *search_failure(struct maildir *m,
	const struct recipients_search *s, enum recipients_result result)
{
	static const enum reply_name names[] = {
		[RECIPIENTS_NAME] = REPLY_MAILBOX_NAME,
		[RECIPIENTS_UNKNOWN] = REPLY_MAILBOX_UNKNOWN,
		[RECIPIENTS_AUTH] = REPLY_AUTH_FIRST,
		[RECIPIENTS_FAILED] = REPLY_RECIPIENTS_FAILED,
		[RECIPIENTS_LONG] = REPLY_STORE_FAILED,
	};

	if (result == RECIPIENTS_FAILED && may_note(m)) {
		struct buf b = BUF(m->fault);
		buf_put_str(&b, s->fault);
		note(m, &b);
	}
	if (result == RECIPIENTS_LONG)
		note_root(m, RECIPIENTS_PATH_LONG);
	return reply_get(names[result]);
}

static const struct reply *empty_failure(struct maildir *m, const struct mailbox *box)
{
	struct buf b = BUF(m->fault);

	if (may_note(m)) {
		mailbox_put_empty_fault(box, root_path(m), &b);
		note(m, &b);
	}
	return reply_get(REPLY_STORE_FAILED);
}

/*
 * True when the descriptors do for the box, too, until the message is stored. Those that
 * are open have numbers in a row. Each box may need a file of its own: whether its file
 * system has hard links shows when one is made.
 */
static bool has_room(const struct maildir *m, const struct mailbox *box)
{
	const int fds[] = { m->root, box->new_dir, box->tmp_dir, box->dir,
		box->above.fd };
	size_t n = m->n_later + count_later(box) + m->n_boxes + 1;
	int top = -1;

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] > top)
			top = fds[i];
	return n + (size_t)top < (size_t)(m->max_fd < 0 ? 0 : m->max_fd);
}

static bool has_device(const struct maildir *m, dev_t device)
{
	size_t i = 0;

	while (i < m->n_boxes && m->boxes[i].device != device)
		i++;
	return i < m->n_boxes;
}

/*
 * True where the file system of the mailbox has less space than the client declares for
 * the message (RFC 1870 6.1). Each file system is asked once.
 */
static bool is_full(
	const struct maildir *m, const struct tx *tx, const struct mailbox *box)
{
	if (!tx->params.has_size || tx->params.size == 0 ||
		(!m->original_to && has_device(m, box->device)))
		return false;
	return mailbox_is_full(box, m->root, tx->params.size);
}

/* What keeps the message from being stored, as far as it shows now. NULL or a refusal. */
static const struct reply *check_room(struct maildir *m, const struct tx *tx,
	const struct recipient *r, struct mailbox *box)
{
	if (find_box(m, box) < m->n_boxes)
		return NULL;
	if (!has_room(m, box)) {
		mailbox_fail(box, "new", -EMFILE);
		return open_failure(m, r, box);
	}
	if (!is_full(m, tx, box))
		return NULL;
	mailbox_fail(box, "new", -ENOSPC);
	box->why = "No space left on device for a message of the size that the client "
		   "declares";
	return open_failure(m, r, box);
}

/* What keeps mail from the box at the place, or NULL. */
static const struct reply *check_box(struct maildir *m, const struct tx *tx,
	const struct recipient *r, struct mailbox *box, int found,
	const struct recipients_place *place)
{
	if ((found == MAILBOX_DANGLING || found == MAILBOX_ABSENT) && !place->may_create)
		found = mailbox_fail_missing(
			box, place->is_named || found == MAILBOX_DANGLING);
	if (found >= 0 && found != MAILBOX_OTHER)
		found = mailbox_probe(box);
	if (found < 0 || found == MAILBOX_OTHER)
		return open_failure(m, r, box);
	return check_room(m, tx, r, box);
}

const struct reply *maildir_take_place(struct maildir *m, const struct tx *tx,
	struct recipient *r, const struct recipients_place *place, bool *ret_elsewhere)
{
	struct mailbox box;
	int found = mailbox_open(&box, m->root, place->path);
	const struct reply *refusal = NULL;
	bool is_hidden = mailbox_is_not_mounted(m->recipients.create, found, &box, place);

	*ret_elsewhere = !is_hidden && mailbox_is_elsewhere(found, &box, place);
	if (is_hidden)
		refusal = empty_failure(m, &box);
	else if (!*ret_elsewhere)
		refusal = check_box(m, tx, r, &box, found, place);
	if (!*ret_elsewhere && !refusal)
		return add_box(m, &box, r, place);
	mailbox_close(&box);
	return refusal;
}

/*
 * Takes over the first place that is there or may be made, and with a line of several
 * mailboxes all of them: where one is none, the line has no mailbox.
 */
static const struct reply *find_places(
	struct maildir *m, const struct tx *tx, struct recipient *r)
{
	const size_t n_boxes = m->n_boxes;
	struct recipients_search search;
	struct recipients_place place;
	enum recipients_result result;
	const struct reply *refusal;
	bool is_elsewhere;

	recipients_begin(&search, &m->recipients, r, tx->user);
	do {
		maildir_drop_boxes(m, r, n_boxes);
		result = recipients_next(&search, &place);
		if (result != RECIPIENTS_FOUND)
			return search_failure(m, &search, result);
		do {
			refusal = maildir_take_place(m, tx, r, &place, &is_elsewhere);
			if (!refusal && !is_elsewhere)
				result = recipients_also(&search, &place);
		} while (!refusal && !is_elsewhere && result == RECIPIENTS_FOUND);
	} while (!refusal && is_elsewhere);
	if (!refusal && result != RECIPIENTS_UNKNOWN)
		refusal = search_failure(m, &search, result);
	if (refusal)
		maildir_drop_boxes(m, r, n_boxes);
	r->unfiltered = search.unfiltered;
	return refusal;
}

static const struct reply *maildir_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	struct maildir *m = maildir_of(st);
	const struct reply *refusal = check_marker(m);

	r->slot = m->n_goals;
	return refusal ? refusal : find_places(m, tx, r);
}

/*
 * A Maildir is created, or completed, when content is about to come, not for each address
 * that is tried. It has an error where that fails.
 */
static void create_missing(struct maildir *m)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		if (!m->boxes[i].complete)
			mailbox_create(&m->boxes[i], m->root);
}

static const struct reply *maildir_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct maildir *m = maildir_of(st);
	int r;

	create_missing(m);
	/* each has one of its own at most, and another where that cannot be linked */
	m->files = calloc(2 * m->n_boxes, sizeof(*m->files));
	if (!m->files)
		return fail_all(m, -ENOMEM);
	r = message_files_begin(m, tx);
	if (r == 0)
		r = message_files_write_trace(m, tx, trace);
	return r < 0 ? fail_all(m, r) : NULL;
}

static const struct reply *maildir_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	struct maildir *m = maildir_of(st);
	int r = message_files_write(m, text);

	(void)tx;
	return r < 0 ? fail_all(m, r) : NULL;
}

/* The first of the recipient's boxes that cannot have the message, or NULL. */
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

/*
 * Sets the reply of every recipient of whose Maildirs one cannot have the message. What
 * no other recipient wants is then wanted no more.
 */
static void refuse_recipients(struct maildir *m, struct tx *tx)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		m->boxes[i].wanted = false;
	for (size_t i = 0; i < tx->n_recipients; i++) {
		struct recipient *to = &tx->recipients[i];
		const struct mailbox *failed = find_failed(m, to);
		if (failed) {
			note_box(m, failed);
			to->reply = failure(failed->error);
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
		return fail_all(m, r);
	refuse_recipients(m, tx);
	return NULL;
}

/* Never over an existing file: another name is tried. */
static int link_box(struct maildir *m, const struct tx *tx, struct mailbox *box)
{
	int r = message_file_link_new(
		box->file, box->new_dir, tx->id, m->host, box->name);

	box->linked = r == 0;
	return r;
}

/* Directories between which links should be possible may be apart all the same. */
static int link_apart(struct maildir *m, const struct tx *tx, struct mailbox *box)
{
	int r = link_box(m, tx, box);

	if (r == -EXDEV || message_file_lacks_links(r))
		r = message_files_own(m, tx, box, r);
	if (r == 0 && !box->linked)
		r = link_box(m, tx, box);
	return r;
}

/* What is durable in the box, or why it is not. */
static int sync_box(const struct mailbox *box)
{
	if (box->file->error)
		return box->file->error;
	if (fsync(box->new_dir) < 0)
		return -errno;
	return message_file_sync_tmp(box->file);
}

/*
 * A box that fails affects only its own recipients where each gets a reply; else it fails
 * the whole transaction.
 */
static int settle(struct mailbox *box, const struct tx *tx, int error)
{
	mailbox_fail(box, "new", error);
	return tx->each ? 0 : error;
}

static int link_all(struct maildir *m, const struct tx *tx)
{
	int r = 0;

	for (size_t i = 0; i < m->n_boxes && r == 0; i++)
		if (m->boxes[i].file && m->boxes[i].wanted)
			r = settle(&m->boxes[i], tx, link_apart(m, tx, &m->boxes[i]));
	for (size_t i = 0; i < m->n_files && r == 0; i++)
		if (m->files[i].n_planned)
			m->files[i].error = message_file_sync(&m->files[i]);
	for (size_t i = 0; i < m->n_boxes && r == 0; i++)
		if (m->boxes[i].file && m->boxes[i].linked)
			r = settle(&m->boxes[i], tx, sync_box(&m->boxes[i]));
	return r;
}

/*
 * From boxes that failed or are not wanted any more, or from all. What a reader has moved
 * to cur already is his: he sees that message twice.
 */
static void take_back(struct maildir *m, bool all)
{
	for (size_t i = 0; i < m->n_boxes; i++) {
		struct mailbox *box = &m->boxes[i];
		if (!box->linked || (!all && !box->error && box->wanted))
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
	int r;

	refuse_recipients(m, tx); /* a later stage may have refused some */
	r = link_all(m, tx);
	if (r == 0)
		refuse_recipients(m, tx);
	take_back(m, r < 0);
	if (r < 0)
		return fail_all(m, r);
	note_name(m, tx);
	return NULL;
}

static void maildir_clear(struct stage *st)
{
	struct maildir *m = maildir_of(st);

	for (size_t i = 0; i < m->n_files; i++)
		message_file_close(&m->files[i]);
	for (size_t i = 0; i < m->n_boxes; i++)
		mailbox_close(&m->boxes[i]);
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
		.root = -1,
		.host = host,
	};
}

size_t maildir_most_recipients(const struct maildir *m)
{
	size_t n = m->max_fd > FD_OPEN ? (size_t)(m->max_fd - FD_OPEN) / FD_EACH : 0;

	return n ? n : 1;
}
