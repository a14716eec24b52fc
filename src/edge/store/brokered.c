/* SPDX-License-Identifier: ISC */
/*
 * The stage that stores messages by the broker. Its promises are those of maildir.c; what
 * is done in which process is in broker.h.
 */
#include "edge/store/broker.h"
#include <errno.h>
#include <stdio.h>
#include "edge/store/message-file.h"
#include "proto/received.h"

static struct brokered *brokered_of(struct stage *st)
{
	return (struct brokered *)st;
}

static void note(struct brokered *b, const char *fault)
{
	if (!*fault)
		return;
	snprintf(b->fault, sizeof(b->fault), "%s", fault);
	b->stage.fault = b->fault;
	b->stage.is_hint = false;
}

/* Returns the refusal when the broker has not answered. */
static const struct reply *fail(struct brokered *b, int error)
{
	if (!b->stage.fault || b->stage.is_hint)
		note(b, broker_error(error));
	return reply_get(error == -ENOMEM ? REPLY_NO_MEMORY : REPLY_STORE_FAILED);
}

/* Returns the refusal of the last answer, or NULL, and keeps its fault. */
static const struct reply *refusal_of(struct brokered *b, int r)
{
	if (r < 0)
		return fail(b, r);
	/* that of the transaction, which the broker chooses */
	note(b, b->files.link->answer->head.fault);
	if (*b->files.link->answer->head.fault)
		b->stage.is_hint = b->files.link->answer->head.is_hint;
	return broker_refusal(b->files.link);
}

static const struct reply *ask(struct brokered *b, const struct broker_request *r)
{
	int fds[BROKER_FDS_MAX], error;
	size_t n;

	b->files.used = true;
	error = broker_ask(b->files.link, r, fds, &n);
	if (!broker_has_answer(r))
		return NULL;
	return refusal_of(b, error);
}

static const struct reply *brokered_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *to)
{
	struct brokered *b = brokered_of(st);
	struct broker_request r = { .operation = BROKER_RECIPIENT,
		.flags = (tx->user ? BROKER_LOGGED_IN : 0U) |
			 (tx->params.has_size ? BROKER_HAS_SIZE : 0U) |
			 (tx->n_added ? BROKER_ADDED : 0U),
		.size = tx->params.size };
	const struct reply *refusal;

	/* no address of this length has a mailbox */
	if (to->local.n + to->domain.n > sizeof(r.address))
		return reply_get(REPLY_MAILBOX_NAME);
	r.n_local = (uint32_t)to->local.n;
	r.n_domain = (uint32_t)to->domain.n;
	memcpy(r.address, to->local.p, to->local.n);
	memcpy(r.address + to->local.n, to->domain.p, to->domain.n);
	refusal = ask(b, &r);
	if (refusal)
		return refusal;
	to->slot = b->n_recipients++;
	to->n_slots = 1;
	to->unfiltered = b->files.link->answer->head.unfiltered;
	return NULL;
}

static void brokered_drop(struct stage *st, struct recipient *to)
{
	struct brokered *b = brokered_of(st);

	if (!to->n_slots)
		return;
	to->n_slots = 0;
	b->n_recipients--;
	ask(b, &(struct broker_request){ .operation = BROKER_DROP });
}

const struct reply *brokered_divert(struct brokered *b, struct tx *tx)
{
	(void)tx;
	return ask(b, &(struct broker_request){ .operation = BROKER_DIVERT });
}

/* Returns the reply when all files have failed. */
static const struct reply *judge_all(struct brokered *b, int error)
{
	const struct reply *refusal = refusal_of(b, broker_files_judge(&b->files));

	if (refusal)
		return refusal;
	return reply_get(error == -ENOSPC || error == -EDQUOT ? REPLY_STORE_FULL
							      : REPLY_STORE_FAILED);
}

static bool has_file(const struct brokered *b)
{
	for (size_t i = 0; i < b->files.n; i++)
		if (b->files.list[i].fd >= 0)
			return true;
	return false;
}

static int write_all(int fd, struct span text)
{
	struct message_file c = { .fd = fd };

	return message_file_write(&c, &text);
}

static const struct reply *brokered_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	struct brokered *b = brokered_of(st);
	int error = 0;

	(void)tx;
	for (size_t i = 0; i < b->files.n; i++) {
		const int fd = b->files.list[i].fd;
		int r = fd >= 0 ? write_all(fd, text) : 0;
		if (r < 0)
			broker_files_fail(&b->files, i, error = r);
	}
	return error && !has_file(b) ? judge_all(b, error) : NULL;
}

/* The recipient that the broker has by that number; NULL: none. */
static const struct recipient *find_recipient(const struct tx *tx, size_t number)
{
	for (size_t i = 0; i < tx->n_recipients; i++)
		if (tx->recipients[i].n_slots && tx->recipients[i].slot == number)
			return &tx->recipients[i];
	return NULL;
}

/* With original-to: the header of one mailbox. 0 or -errno. */
static int write_trace(
	const struct broker_file *file, const struct tx *tx, struct span trace)
{
	struct message_file c = { .fd = file->fd };
	struct message_trace t;
	int r = message_trace_begin(&t, &c, trace);

	for (size_t i = 0; i < file->n_recipients && r == 0; i++) {
		const struct recipient *to = find_recipient(tx, file->recipients[i]);
		if (to)
			r = message_trace_put(&t, SPAN(FIELD_ORIGINAL_TO), to->mailbox);
	}
	if (r == 0)
		r = message_trace_put(
			&t, SPAN(FIELD_DELIVERED_TO), span_of(file->address));
	return r ? r : message_trace_end(&t);
}

static const struct reply *write_traces(
	struct brokered *b, const struct tx *tx, struct span trace)
{
	int error = 0;

	if (!b->original_to)
		return brokered_body(&b->stage, tx, trace);
	for (size_t i = 0; i < b->files.n; i++) {
		const struct broker_file *file = &b->files.list[i];
		int r = 0;
		if (file->fd >= 0)
			r = file->address ? write_trace(file, tx, trace) : -EPROTO;
		if (r < 0)
			broker_files_fail(&b->files, i, error = r);
	}
	return error && !has_file(b) ? judge_all(b, error) : NULL;
}

static const struct reply *brokered_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct brokered *b = brokered_of(st);
	const struct reply *refusal;
	int r = broker_files_open(&b->files, tx->id, "", &refusal);

	if (r < 0)
		return fail(b, r);
	if (refusal)
		return refusal_of(b, 0);
	return write_traces(b, tx, trace);
}

/* Sets the replies of recipients by the last answer. */
static void refuse_recipients(struct brokered *b, struct tx *tx)
{
	const struct broker_answer *a = b->files.link->answer;
	uint16_t reply;

	if (!a->head.has_errors)
		return;
	for (size_t i = 0; i < tx->n_recipients; i++) {
		struct recipient *to = &tx->recipients[i];
		if (!to->n_slots || to->reply ||
			(to->slot + 1) * sizeof(reply) > a->head.n)
			continue;
		memcpy(&reply, a->body + to->slot * sizeof(reply), sizeof(reply));
		if (reply != BROKER_NO_REPLY)
			to->reply = reply_get(
				reply < REPLY_COUNT ? reply : REPLY_STORE_FAILED);
	}
}

static const struct reply *brokered_prepare(struct stage *st, struct tx *tx)
{
	struct brokered *b = brokered_of(st);
	const struct reply *refusal;

	broker_files_sync(&b->files);
	if (!b->files.has_errors)
		return NULL;
	refusal = refusal_of(b, broker_files_judge(&b->files));
	if (!refusal)
		refuse_recipients(b, tx);
	return refusal;
}

/* Passes on the refusals of later stages. */
static void pass_refusals(struct brokered *b, const struct tx *tx)
{
	for (size_t i = 0; i < tx->n_recipients; i++)
		if (tx->recipients[i].reply && tx->recipients[i].n_slots)
			ask(b, &(struct broker_request){ .operation = BROKER_REFUSE,
				       .number = (uint32_t)tx->recipients[i].slot });
}

static const struct reply *brokered_commit(struct stage *st, struct tx *tx)
{
	struct brokered *b = brokered_of(st);
	char name[TX_FILE_MAX] = "";
	const struct reply *refusal;

	pass_refusals(b, tx);
	refusal = refusal_of(
		b, broker_files_commit(&b->files, tx->each ? BROKER_EACH : 0, name));
	if (refusal)
		return refusal;
	refuse_recipients(b, tx);
	memcpy(tx->file, name, sizeof(tx->file));
	return NULL;
}

static void brokered_clear(struct stage *st)
{
	struct brokered *b = brokered_of(st);

	broker_files_clear(&b->files);
	b->n_recipients = 0;
	b->stage.fault = NULL;
}

static const struct stage_ops brokered_ops = {
	.rcpt = brokered_rcpt,
	.drop = brokered_drop,
	.data = brokered_data,
	.body = brokered_body,
	.prepare = brokered_prepare,
	.commit = brokered_commit,
	.clear = brokered_clear,
};

void brokered_init(struct brokered *b, struct broker_link *link, bool original_to)
{
	*b = (struct brokered){ .stage.ops = &brokered_ops,
		.files.link = link,
		.files.delivery = BROKER_MAIL,
		.original_to = original_to };
}
