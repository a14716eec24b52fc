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
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/cleanup.h"
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
		return fail_all(m, -ENOMEM);
	}
	m->boxes = more;
	m->n_later += count_later(box);
	m->boxes[m->n_boxes++] = *box;
	return NULL;
}

/*
 * Where there are more mailboxes than descriptors the client sends the rest in another
 * transaction, and the record has the reason. Without descriptors for a single one it
 * never can.
 */
static const struct reply *open_failure(struct maildir *m, struct mailbox *box)
{
	bool is_many = box->error == -EMFILE && m->n_boxes > 0;

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

/* In what a file system has for itself (mkfs(8)). */
static bool is_lost_and_found(const char *path)
{
	for (size_t n; *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		if (span_eq((struct span){ path, n }, SPAN("lost+found")))
			return true;
	}
	return false;
}

/* True for a place that is no mailbox, so that the next is looked at. */
static bool is_elsewhere(
	int result, const struct mailbox *box, const struct recipients_place *place)
{
	if (result != MAILBOX_OPEN && !place->is_named && is_lost_and_found(place->path))
		return true;
	switch (result) {
	case MAILBOX_ABSENT:
		return place->is_part ||
		       (!place->may_create && !mailbox_fault_is_ours(box, place));
	case MAILBOX_BARE:
		/* one that has other entries serves another purpose */
		return !place->is_named && (place->is_part || !place->may_create ||
						   !mailbox_dir_is_empty(box->dir));
	case MAILBOX_OTHER:
		return !mailbox_fault_is_ours(box, place);
	default:
		return false;
	}
}

/*
 * True where the mailbox may be on a file system that is not mounted: it would be in an
 * empty directory, and no setting allows to make mailboxes there.
 */
static bool is_not_mounted(const struct maildir *m, int result, const struct mailbox *box,
	const struct recipients_place *place)
{
	if (m->recipients.create == CREATE_YES ||
		(!place->is_named && is_lost_and_found(place->path)))
		return false;
	switch (result) {
	case MAILBOX_ABSENT:
		return box->above.is_empty;
	case MAILBOX_DANGLING:
		return place->may_create && box->above.is_empty;
	default:
		/*
		 * an empty directory in the place of a mailbox is one that is to be
		 * completed
		 */
		return false;
	}
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
 * The first place that is there or may be made; always to be closed. NULL or a refusal.
 */
static const struct reply *find_place(struct maildir *m, const struct tx *tx,
	const struct recipient *r, struct mailbox *ret)
{
	struct recipients_search search;
	struct recipients_place place;
	int found;

	recipients_begin(&search, &m->recipients, r, tx->user);
	do {
		enum recipients_result result = recipients_next(&search, &place);
		if (result != RECIPIENTS_FOUND)
			return search_failure(m, &search, result);
		mailbox_close(ret);
		found = mailbox_open(ret, m->root, place.path);
		if (is_not_mounted(m, found, ret, &place))
			return empty_failure(m, ret);
	} while (is_elsewhere(found, ret, &place));
	if ((found == MAILBOX_DANGLING || found == MAILBOX_ABSENT) && !place.may_create)
		found = mailbox_fail_missing(
			ret, place.is_named || found == MAILBOX_DANGLING);
	if (found >= 0 && found != MAILBOX_OTHER)
		found = mailbox_probe(ret);
	return found < 0 || found == MAILBOX_OTHER ? open_failure(m, ret) : NULL;
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
 * the message (RFC 1870 6.1). Each file system is asked once; for a mailbox that does not
 * exist yet only that of mail-root.
 */
static bool is_full(
	const struct maildir *m, const struct tx *tx, const struct mailbox *box)
{
	int dir = box->new_dir >= 0 ? box->new_dir : box->dir;
	struct statvfs fs;
	struct stat root;
	uint64_t blocks;

	if (!tx->params.has_size || tx->params.size == 0 || has_device(m, box->device))
		return false;
	if (dir < 0 && fstat(m->root, &root) == 0 && root.st_dev == box->device)
		dir = m->root;
	if (dir < 0 || fstatvfs(dir, &fs) < 0 || fs.f_blocks == 0 || fs.f_frsize == 0)
		return false;
	/* some are root's alone */
	blocks = geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
	return tx->params.size / fs.f_frsize >= blocks;
}

/* What keeps the message from being stored, as far as it shows now. NULL or a refusal. */
static const struct reply *check_room(
	struct maildir *m, const struct tx *tx, struct mailbox *box)
{
	if (find_box(m, box) < m->n_boxes)
		return NULL;
	if (!has_room(m, box)) {
		mailbox_fail(box, "new", -EMFILE);
		return open_failure(m, box);
	}
	if (!is_full(m, tx, box))
		return NULL;
	mailbox_fail(box, "new", -ENOSPC);
	box->why = "No space left on device for a message of the size that the client "
		   "declares";
	return open_failure(m, box);
}

static const struct reply *maildir_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	struct maildir *m = maildir_of(st);
	struct mailbox box = MAILBOX_NONE;
	const struct reply *refusal = check_marker(m);

	if (!refusal)
		refusal = find_place(m, tx, r, &box);
	if (!refusal)
		refusal = check_room(m, tx, &box);
	if (!refusal)
		return add_box(m, &box, &r->slot);
	mailbox_close(&box);
	return refusal;
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
		r = message_files_write(m, trace);
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

/* Sets the reply of every recipient whose Maildir cannot have the message. */
static void refuse_recipients(struct maildir *m, struct tx *tx)
{
	for (size_t i = 0; i < tx->n_recipients; i++) {
		struct recipient *to = &tx->recipients[i];
		const struct mailbox *box = &m->boxes[to->slot];
		if (!box->error)
			continue;
		note_box(m, box);
		to->reply = failure(box->error);
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
		if (m->boxes[i].file)
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
 * From boxes that failed, or from all. What a reader has moved to cur already is his: he
 * sees that message twice.
 */
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
		return fail_all(m, r);
	refuse_recipients(m, tx);
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
	m->files = NULL;
	m->boxes = NULL;
	m->n_files = m->n_boxes = m->n_later = 0;
	m->stage.fault = NULL;
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

size_t maildir_most_recipients(const struct maildir *m)
{
	size_t n = m->max_fd > FD_OPEN ? (size_t)(m->max_fd - FD_OPEN) / FD_EACH : 0;

	return n ? n : 1;
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
