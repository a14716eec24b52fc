/* SPDX-License-Identifier: ISC */
/*
 * What the broker does for one connection: it looks up recipients, makes the files of a
 * message and links them, each step as the owner of the directory. It writes and syncs
 * nothing, so that a slow disk holds up one connection alone.
 */
#include "edge/store/broker.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/net/net.h"
#include "edge/store/hangs.h"
#include "edge/store/mailbox-walk.h"
#include "edge/store/mailbox.h"
#include "edge/store/maildir-parts.h"
#include "edge/store/message-file.h"
#include "edge/store/users.h"

_Static_assert(BROKER_ID_MAX >= TX_ID_MAX, "an id fits");
_Static_assert(BROKER_SOURCE_MAX > DSN_SOURCE_MAX, "a source fits");
_Static_assert(BROKER_FAULT_MAX >= MAILBOX_FAULT_MAX, "a fault fits");
_Static_assert(BROKER_NAME_MAX == TX_FILE_MAX, "a name fits");
_Static_assert(BROKER_FDS_MAX <= CHANNEL_FDS_MAX, "one message has all");

#define FD_SAVED 10 /* of those that a connection keeps for files and logs */
#define TRACE_MODE 0600
#define HERE "." /* the outbox is its own mailbox */

struct delivery {
	enum broker_phase phase;
	struct maildir maildir;
	struct tx tx;
	struct syncs syncs;
	char host[TX_FILE_MAX]; /* host and source in the name of a report */
};

struct broker_channel {
	const struct broker_places *places;
	struct delivery *list[BROKER_DELIVERIES]; /* NULL: no request for it has come */
	bool is_traced;
	int trace; /* the file, until the answer is sent; -1: there is none */
};

struct broker_channel *broker_channel_new(const struct broker_places *places)
{
	struct broker_channel *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->places = places;
	c->trace = -1;
	return c;
}

static struct delivery *new_delivery(const struct broker_places *p, bool is_report)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	maildir_init(&d->maildir, p->recipients, p->host);
	d->maildir.original_to = p->original_to && !is_report;
	d->maildir.max_fd += FD_SAVED;
	d->maildir.shared = p->shared;
	d->maildir.root = (struct store_root){ is_report ? p->outbox_root : p->mail_root,
		true, &d->syncs, is_report ? p->outbox_mark : p->mail_mark };
	if (is_report) {
		d->maildir.recipients.root_path = p->outbox;
		d->maildir.recipients.create = CREATE_YES;
		d->maildir.recipients.marker = NULL;
	}
	return d;
}

static void clear(struct delivery *d)
{
	maildir_clear(&d->maildir.stage);
	tx_clear(&d->tx);
	syncs_clear(&d->syncs);
}

static void drop(struct broker_channel *c, uint32_t which)
{
	if (!c->list[which])
		return;
	clear(c->list[which]);
	free(c->list[which]);
	c->list[which] = NULL;
}

void broker_channel_sent(struct broker_channel *c)
{
	if (c->trace >= 0)
		close(c->trace);
	c->trace = -1;
}

/* The message, or a part of it, is in mailboxes. */
static bool is_linked(const struct delivery *d)
{
	return d->phase == BROKER_LINKED || d->phase == BROKER_WITHDRAWN;
}

void broker_channel_free(struct broker_channel *c)
{
	broker_channel_sent(c);
	for (uint32_t i = 0; i < BROKER_DELIVERIES; i++) {
		struct delivery *d = c->list[i];
		/* the client has no 250: with one the connection would have cleared it */
		if (d && is_linked(d))
			maildir_take_back(&d->maildir, true);
		drop(c, i);
	}
	free(c);
}

static uint16_t number_of(const struct reply *r)
{
	for (enum reply_name name = 0; r && name < REPLY_COUNT; name++)
		if (reply_get(name) == r)
			return (uint16_t)name;
	return BROKER_NO_REPLY;
}

static void set_reply(struct broker_answer *a, const struct reply *r)
{
	a->head.reply = number_of(r);
}

static const struct reply *add_recipient(
	struct delivery *d, const struct broker_request *r, struct broker_answer *a)
{
	const struct path path = { .text = { r->address, r->n_local + r->n_domain },
		.local = { r->address, r->n_local },
		.domain = { r->address + r->n_local, r->n_domain } };
	const struct rcpt_params params = { 0 };
	const struct reply *refusal;
	struct recipient *added;

	if (d->tx.n_recipients == BROKER_RECIPIENTS_MAX)
		return reply_get(REPLY_RECIPIENT_MANY);
	if (tx_add_recipient(&d->tx, &path, &params, &added) < 0)
		return reply_get(REPLY_NO_MEMORY);
	d->tx.user = r->flags & BROKER_LOGGED_IN ? "" : NULL;
	d->tx.params.has_size = r->flags & BROKER_HAS_SIZE;
	d->tx.params.size = r->size;
	d->tx.n_added += r->flags & BROKER_ADDED ? 1 : 0;
	refusal = maildir_rcpt(&d->maildir.stage, &d->tx, added);
	a->head.unfiltered = added->unfiltered;
	if (refusal)
		tx_drop_recipient(&d->tx);
	return refusal;
}

/* Drops the newest recipient. False: there is none. */
static bool drop_recipient(struct delivery *d)
{
	struct tx *tx = &d->tx;

	if (!tx->n_recipients)
		return false;
	maildir_drop(&d->maildir.stage, &tx->recipients[tx->n_recipients - 1]);
	tx_drop_recipient(tx);
	return true;
}

/* Adds the outbox as the recipient of a report, under a name that is not used. */
static const struct reply *address_report(
	struct delivery *d, const struct broker_places *p, const char *source)
{
	static const char name[] = "outbox";
	const struct path path = { .text = { name, sizeof(name) - 1 },
		.local = { name, sizeof(name) - 1 } };
	const struct rcpt_params params = { 0 };
	struct recipient *added;

	if (tx_add_recipient(&d->tx, &path, &params, &added) < 0)
		return reply_get(REPLY_NO_MEMORY);
	snprintf(d->host, sizeof(d->host), "%s%s", p->host, source);
	d->maildir.host = d->host;
	return maildir_divert(&d->maildir, &d->tx, HERE);
}

static bool has_file(const struct maildir *m)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		if (m->boxes[i].file)
			return true;
	return false;
}

/* Returns the error of the first box that has one, or 0. */
static int first_error(const struct maildir *m)
{
	for (size_t i = 0; i < m->n_boxes; i++)
		if (m->boxes[i].error)
			return m->boxes[i].error;
	return 0;
}

static bool has_error(const struct maildir *m)
{
	return first_error(m) < 0;
}

/* Makes the files at the first request for one. NULL or a refusal. */
static const struct reply *open_files(
	struct delivery *d, const struct broker_places *p, const struct broker_request *r)
{
	struct maildir *m = &d->maildir;
	const struct reply *refusal = NULL;
	int error;

	memcpy(d->tx.id, r->id, sizeof(d->tx.id));
	if (r->delivery == BROKER_REPORT)
		refusal = address_report(d, p, r->source);
	if (refusal)
		return refusal;
	if (!m->n_boxes)
		return reply_get(REPLY_STORE_FAILED);
	error = maildir_open_files(m, &d->tx);
	return error < 0 ? maildir_fail_all(m, error) : NULL;
}

/* Puts the mailbox of the file and the recipients for its header (original-to). */
static void put_file(const struct delivery *d, const struct message_file *file,
	struct broker_answer *a)
{
	const struct maildir *m = &d->maildir;
	struct buf b = { .p = (char *)a->body, .cap = sizeof(a->body) };
	size_t number = 0;

	while (number < m->n_boxes && m->boxes[number].file != file)
		number++;
	if (!m->original_to || number == m->n_boxes)
		return;
	buf_put_str(&b, m->boxes[number].address);
	buf_put_char(&b, '\0');
	for (size_t i = 0; i < d->tx.n_recipients; i++) {
		const struct recipient *r = &d->tx.recipients[i];
		const uint16_t at = (uint16_t)i;
		for (size_t j = 0; j < r->n_slots; j++)
			if (m->goals[r->slot + j] == number)
				buf_put(&b,
					(struct span){ (const char *)&at, sizeof(at) });
	}
	a->head.n = b.overflow ? 0 : (uint32_t)b.n;
}

/* Returns the file of that number, or its error if it could not be made. */
static bool give_file(struct delivery *d, uint32_t number, struct broker_answer *a,
	int *ret_fds, size_t *ret_n)
{
	const struct maildir *m = &d->maildir;

	if (a->head.reply != BROKER_NO_REPLY)
		return true;
	if (number >= m->n_files)
		return false;
	put_file(d, &m->files[number], a);
	if (m->files[number].fd >= 0)
		ret_fds[(*ret_n)++] = m->files[number].fd;
	return true;
}

static void give_syncs(
	const struct delivery *d, uint32_t from, int *ret_fds, size_t *ret_n)
{
	for (size_t i = from; i < d->syncs.n && *ret_n < BROKER_FDS_MAX; i++)
		ret_fds[(*ret_n)++] = d->syncs.list[i].fd;
}

/* Puts the replies of recipients, or one for all. */
static void judge(struct delivery *d, struct broker_answer *a)
{
	struct maildir *m = &d->maildir;
	struct tx *tx = &d->tx;

	maildir_refuse_recipients(m, tx);
	/*
	 * without a reply for each, all recipients get the message, or none does; the
	 * same holds with a recipient that a filter has added
	 */
	if (!has_file(m) || (is_linked(d) && !tx->each && has_error(m)))
		set_reply(a, maildir_fail_all(m, first_error(m)));
	else if (d->phase == BROKER_LINKED)
		set_reply(a, tx_refusal_of_added(tx));
	a->head.has_errors = tx_fold(tx) != NULL;
	for (size_t i = 0; i < tx->n_recipients && a->head.has_errors; i++) {
		const uint16_t reply = number_of(tx->recipients[i].reply);
		memcpy(a->body + i * sizeof(reply), &reply, sizeof(reply));
		a->head.n = (uint32_t)((i + 1) * sizeof(reply));
	}
}

static void put_name(struct delivery *d, struct broker_answer *a)
{
	d->tx.file[0] = '\0';
	maildir_note_name(&d->maildir, &d->tx);
	memcpy(a->head.name, d->tx.file, sizeof(a->head.name));
}

/* Links the files: all that can be linked, or without a reply for each all or none. */
static void commit(struct delivery *d, uint32_t flags, struct broker_answer *a)
{
	struct maildir *m = &d->maildir;
	bool again = false;
	int r;

	d->tx.each = flags & BROKER_EACH;
	maildir_refuse_recipients(m, &d->tx);
	r = maildir_link(m, &d->tx, &again);
	if (r < 0) {
		maildir_take_back(m, true);
		set_reply(a, maildir_fail_all(m, r));
		return;
	}
	for (size_t i = 0; !again && i < m->n_boxes; i++)
		if (m->boxes[i].file && m->boxes[i].wanted && !m->boxes[i].linked)
			mailbox_fail(&m->boxes[i], "new", -EXDEV);
	d->phase = BROKER_LINKED;
	judge(d, a);
	maildir_take_back(m, a->head.reply != BROKER_NO_REPLY);
	put_name(d, a);
	a->head.again = again && a->head.reply == BROKER_NO_REPLY;
}

/* Removes links after failures of the connection: those that they concern, or all. */
static void withdraw(struct delivery *d, uint32_t flags, struct broker_answer *a)
{
	struct maildir *m = &d->maildir;

	d->tx.each = flags & BROKER_EACH;
	judge(d, a);
	maildir_take_back(m, a->head.reply != BROKER_NO_REPLY);
	put_name(d, a);
}

/* Sets the error of all boxes of the file, linked ones included. */
static bool fail_file(struct delivery *d, uint32_t number, int error)
{
	struct maildir *m = &d->maildir;

	if (number >= m->n_files)
		return false;
	for (size_t i = 0; i < m->n_boxes; i++)
		if (m->boxes[i].file == &m->files[number])
			mailbox_fail(&m->boxes[i], m->files[number].part, error);
	for (size_t i = 0; d->phase == BROKER_OPENED && i < m->n_boxes; i++)
		if (m->boxes[i].file == &m->files[number])
			m->boxes[i].file = NULL;
	return true;
}

static bool fail_sync(struct delivery *d, uint32_t number, int error)
{
	struct maildir *m = &d->maildir;

	if (number >= d->syncs.n)
		return false;
	for (size_t i = 0; i < m->n_boxes; i++)
		if (d->syncs.list[number].box == i ||
			d->syncs.list[number].box == SYNCS_OF_ALL)
			mailbox_fail(&m->boxes[i], "new", error);
	return true;
}

static bool refuse(struct delivery *d, uint32_t number)
{
	if (number >= d->tx.n_recipients)
		return false;
	/* the connection has its own reply for it; here any refusal will do */
	d->tx.recipients[number].reply = reply_get(REPLY_STORE_FAILED);
	return true;
}

/* Makes the trace, one file for each connection. */
static bool trace(struct broker_channel *c, const struct broker_request *r,
	struct broker_answer *a, int *ret_fds, size_t *ret_n)
{
	const struct store_root root = { .fd = c->places->traces, .as_owner = true };
	char name[BROKER_NAME_MAX];
	int error = root.fd < 0 ? root.fd : hang_step(c->places->traces_mark, "", 0);

	if (error == 0)
		error = walk_become(&root, root.fd);

	if (c->is_traced)
		return false;
	c->is_traced = true;
	snprintf(name, sizeof(name), "%.*s", (int)r->n_local, r->address);
	if (error == 0)
		c->trace = openat(root.fd, name,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, TRACE_MODE);
	if (error == 0 && c->trace < 0)
		error = -errno;
	a->head.error = error == -HANG_HERE ? -ETIMEDOUT : error;
	if (c->trace >= 0)
		ret_fds[(*ret_n)++] = c->trace;
	return true;
}

static bool carry_out(struct broker_channel *c, const struct broker_request *r,
	bool is_first, struct broker_answer *a, int *ret_fds, size_t *ret_n)
{
	struct delivery *d = c->list[r->delivery];

	switch (r->operation) {
	case BROKER_RECIPIENT:
		set_reply(a, add_recipient(d, r, a));
		return true;
	case BROKER_DROP:
		return drop_recipient(d);
	case BROKER_DIVERT:
		if (!c->places->quarantine || !d->tx.n_recipients)
			return false;
		set_reply(a, maildir_divert(&d->maildir, &d->tx, c->places->quarantine));
		return true;
	case BROKER_OPEN:
		if (is_first)
			set_reply(a, open_files(d, c->places, r));
		a->head.has_errors = has_error(&d->maildir);
		return give_file(d, r->number, a, ret_fds, ret_n);
	case BROKER_TRACE:
		return trace(c, r, a, ret_fds, ret_n);
	case BROKER_FILE_FAILED:
		return fail_file(d, r->number, r->error);
	case BROKER_SYNC_FAILED:
		return fail_sync(d, r->number, r->error);
	case BROKER_REFUSE:
		return refuse(d, r->number);
	case BROKER_JUDGE:
		judge(d, a);
		return true;
	case BROKER_COMMIT:
		commit(d, r->flags, a);
		return true;
	case BROKER_WITHDRAW:
		withdraw(d, r->flags, a);
		return true;
	default:
		return true;
	}
}

bool broker_channel_serve(struct broker_channel *c, const struct broker_request *r,
	struct broker_answer *ret, int ret_fds[static BROKER_FDS_MAX], size_t *ret_n_fds)
{
	struct delivery *d = c->list[r->delivery];
	enum broker_phase now = d ? d->phase : BROKER_BEGUN;
	enum broker_phase next = broker_next(now, r);
	bool fine;

	*ret_n_fds = 0;
	ret->head = (struct broker_head){ .reply = BROKER_NO_REPLY };
	if (next == BROKER_WRONG ||
		(r->delivery == BROKER_REPORT && c->places->outbox_root < 0))
		return false;
	if (r->operation == BROKER_CLEAR) {
		drop(c, r->delivery);
		return true;
	}
	if (!d)
		d = c->list[r->delivery] =
			new_delivery(c->places, r->delivery == BROKER_REPORT);
	if (!d)
		return false;
	fine = carry_out(c, r, r->operation == BROKER_OPEN && now == BROKER_BEGUN, ret,
		ret_fds, ret_n_fds);
	d->phase = next;
	ret->head.n_files = (uint32_t)d->maildir.n_files;
	ret->head.n_syncs = (uint32_t)d->syncs.n;
	ret->head.is_hint = d->maildir.stage.is_hint;
	if (d->maildir.stage.fault)
		snprintf(ret->head.fault, sizeof(ret->head.fault), "%s",
			d->maildir.stage.fault);
	if (r->operation == BROKER_SYNCS || r->operation == BROKER_COMMIT)
		give_syncs(d, r->number, ret_fds, ret_n_fds);
	return fine;
}
