/* SPDX-License-Identifier: ISC */
/*
 * The recipients of the stage that stores messages: each gets its Maildirs, which are
 * opened, or is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "edge/store/mailbox-walk.h"
#include "edge/store/mailbox.h"
#include "edge/store/maildir-parts.h"

static struct maildir *maildir_of(struct stage *st)
{
	return (struct maildir *)st;
}

const struct reply *maildir_failure(int error)
{
	if (error == -ENOSPC || error == -EDQUOT)
		return reply_get(REPLY_STORE_FULL);
	return reply_get(error == -ENOMEM ? REPLY_NO_MEMORY : REPLY_STORE_FAILED);
}

/* True for the first fault of the transaction, which its record has; a hint is none. */
static bool may_note(const struct maildir *m)
{
	return !m->stage.fault || m->stage.is_hint;
}

static void note(struct maildir *m, struct buf *fault)
{
	m->fault[fault->n < sizeof(m->fault) ? fault->n : sizeof(m->fault) - 1] = '\0';
	m->stage.fault = m->fault;
	m->stage.is_hint = false;
}

static const char *root_path(const struct maildir *m)
{
	return m->recipients.root_path ? m->recipients.root_path : "";
}

void maildir_note_box(struct maildir *m, const struct mailbox *box)
{
	struct buf b = BUF(m->fault);

	if (!may_note(m) || !box->error)
		return;
	mailbox_put_fault(box, root_path(m), &b);
	note(m, &b);
}

/* Keeps a fault of mail-root, or of everything below it. */
static void note_root(struct maildir *m, const char *words)
{
	struct buf b = BUF(m->fault);

	if (!may_note(m))
		return;
	mailbox_put_path_fault(&b, root_path(m), NULL, NULL, words);
	note(m, &b);
}

/*
 * Returns the reply if no mailbox can get the message, for the reason of the first one.
 */
const struct reply *maildir_fail_all(struct maildir *m, int error)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		maildir_note_box(m, &m->boxes[i]);
	note_root(m, mailbox_words(error));
	return maildir_failure(error);
}

/* Returns the number of the box with the same directory; n_boxes: none. */
static size_t find_box(const struct maildir *m, const struct mailbox *box)
{
	size_t i = 0;

	while (i < m->n_boxes && !mailbox_is_same(&m->boxes[i], box))
		i++;
	return i;
}

/* Returns the number of descriptors that the box gets before the content. */
static size_t count_later(const struct mailbox *box)
{
	size_t n = (size_t)(box->new_dir < 0) + (size_t)(box->tmp_dir < 0);

	if (box->complete || !box->root->later)
		return n;
	/* each directory that is made in is synced later */
	n++;
	if (box->dir < 0)
		for (const char *p = box->path + box->above.n_path; p; n++)
			p = strchr(p + strspn(p, "/"), '/');
	return n;
}

/* Returns the number of descriptors that the box has, or gets, and those of its file. */
static size_t count_all(const struct mailbox *box)
{
	return (size_t)(box->new_dir >= 0) + (size_t)(box->tmp_dir >= 0) +
	       (size_t)(box->dir >= 0) + count_later(box) + 1;
}

static void take(struct maildir *m, size_t n)
{
	m->n_taken += n;
	if (m->shared)
		m->shared->n_used += n;
}

static void give_back(struct maildir *m, size_t n)
{
	m->n_taken -= n;
	if (m->shared)
		m->shared->n_used -= n;
}

void maildir_give_back(struct maildir *m)
{
	give_back(m, m->n_taken);
}

const struct reply *maildir_add_goal(
	struct maildir *m, struct recipient *r, size_t number)
{
	size_t *more;

	for (size_t i = 0; i < r->n_slots; i++)
		if (m->goals[r->slot + i] == number)
			return NULL;
	more = reallocarray(m->goals, m->n_goals + 1, sizeof(*more));
	if (!more)
		return maildir_fail_all(m, -ENOMEM);
	m->goals = more;
	m->goals[m->n_goals++] = number;
	r->n_slots++;
	return NULL;
}

/*
 * Takes over the box, unless the transaction has it already. Returns NULL, or a refusal.
 */
static const struct reply *add_box(struct maildir *m, struct mailbox *box,
	struct recipient *r, const struct recipients_place *place)
{
	size_t i = find_box(m, box);
	struct mailbox *more;

	if (i < m->n_boxes) {
		mailbox_close(box);
		return maildir_add_goal(m, r, i);
	}
	more = reallocarray(m->boxes, m->n_boxes + 1, sizeof(*more));
	if (more)
		m->boxes = more;
	if (more && m->original_to)
		box->address = recipients_address(place);
	if (!more || (m->original_to && !box->address)) {
		mailbox_close(box);
		return maildir_fail_all(m, -ENOMEM);
	}
	m->n_later += count_later(box);
	take(m, count_all(box));
	m->boxes[m->n_boxes++] = *box;
	return maildir_add_goal(m, r, i);
}

void maildir_drop_boxes(struct maildir *m, struct recipient *r, size_t n_boxes)
{
	while (m->n_boxes > n_boxes) {
		struct mailbox *box = &m->boxes[--m->n_boxes];
		m->n_later -= count_later(box);
		give_back(m, count_all(box));
		mailbox_close(box);
	}
	m->n_goals = r->slot;
	r->n_slots = 0;
}

/*
 * If there are more mailboxes than descriptors, the client sends the rest in another
 * transaction, and the record has the reason. Without descriptors for a single one this
 * is not possible.
 */
static const struct reply *open_failure(
	struct maildir *m, const struct recipient *r, struct mailbox *box)
{
	bool is_many = box->error == -EMFILE && r->slot > 0;

	if (box->error == -EMFILE)
		box->why = "Too many open files: raise LimitNOFILE= of the unit, or "
			   "ulimit -n";
	maildir_note_box(m, box);
	return is_many ? reply_get(REPLY_RECIPIENT_MANY) : maildir_failure(box->error);
}

/*
 * If the file of mail-root-marker is missing, the file system for mail may be missing,
 * too.
 */
static const struct reply *check_marker(struct maildir *m)
{
	const char *marker = m->recipients.marker;
	char words[RECIPIENTS_WORDS_MAX];
	struct stat st;

	if (!marker || (walk_become(&m->root, m->root.fd) == 0 &&
			       fstatat(m->root.fd, marker, &st, 0) == 0))
		return NULL;
	recipients_put_marker_fault(words, marker, errno);
	note_root(m, words);
	return reply_get(REPLY_STORE_FAILED);
}

/* Returns the refusal of an address without a mailbox. */
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

	if (s->fault[0] && may_note(m) &&
		(result == RECIPIENTS_FAILED || result == RECIPIENTS_UNKNOWN)) {
		struct buf b = BUF(m->fault);
		buf_put_str(&b, s->fault);
		note(m, &b);
		m->stage.is_hint = result == RECIPIENTS_UNKNOWN;
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
 * True when there are enough descriptors for the box until the message is stored. Open
 * ones have consecutive numbers. Each box may need a file of its own, because missing
 * hard links are detected only when one is made.
 */
static bool has_room(const struct maildir *m, const struct mailbox *box)
{
	const int fds[] = { m->root.fd, box->new_dir, box->tmp_dir, box->dir,
		box->above.fd };
	size_t n = m->n_later + count_later(box) + m->n_boxes + 1;
	int top = -1;

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] > top)
			top = fds[i];
	return n + (size_t)top < (size_t)(m->max_fd < 0 ? 0 : m->max_fd);
}

/*
 * True when the broker has enough for the box, too: what other connections have taken is
 * not yet open in part.
 */
static bool has_share(const struct maildir *m, const struct mailbox *box)
{
	const size_t n = count_all(box);
	const struct shared_fds *s = m->shared;

	if (!s)
		return true;
	return s->n_used + n <= (m->n_taken + n <= SHARED_FDS_OWN
						? s->n_most
						: s->n_most / SHARED_FDS_PART);
}

static bool has_device(const struct maildir *m, dev_t device)
{
	size_t i = 0;

	while (i < m->n_boxes && m->boxes[i].device != device)
		i++;
	return i < m->n_boxes;
}

/*
 * True if the file system of the mailbox has less space than the size that the client
 * declared (RFC 1870 6.1). Each file system is examined once.
 */
static bool is_full(
	const struct maildir *m, const struct tx *tx, const struct mailbox *box)
{
	if (!tx->params.has_size || tx->params.size == 0 ||
		(!m->original_to && has_device(m, box->device)))
		return false;
	return mailbox_is_full(box, tx->params.size);
}

/*
 * Checks whether the message can be stored, as far as this is known now. Returns NULL, or
 * a refusal.
 */
static const struct reply *check_room(struct maildir *m, const struct tx *tx,
	const struct recipient *r, struct mailbox *box)
{
	if (find_box(m, box) < m->n_boxes)
		return NULL;
	if (!has_room(m, box) || !has_share(m, box)) {
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

/* Returns the refusal of mail for the box at the place, or NULL. */
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
	int found = mailbox_open_place(&box, &m->root, place);
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
 * Takes over the first place that exists or may be made; from a line of several mailboxes
 * all of them. If one of these is not a mailbox, the line has none.
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

const struct reply *maildir_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	struct maildir *m = maildir_of(st);
	const struct reply *refusal = check_marker(m);

	r->slot = m->n_goals;
	return refusal ? refusal : find_places(m, tx, r);
}
