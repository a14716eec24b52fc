/* SPDX-License-Identifier: ISC */
/*
 * MAIL, RCPT, DATA and the content after it (RFC 5321 3.3). A refused command does not
 * change the transaction. The stages decide where mail goes.
 */
#include "proto/received.h"
#include "smtp/names.h"
#include "smtp/params.h"
#include "smtp/record.h"
#include "smtp/verbs.h"

/*
 * Makes "1796000000.M123456P4242Q1", which is also the beginning of the Maildir file's
 * name.
 */
static void make_id(struct session *s)
{
	struct buf b = BUF(s->tx.id);

	/* never negative, even if the clock is before 1970 */
	buf_put_num(&b, s->now.seconds > 0 ? (uint64_t)s->now.seconds : 0);
	buf_put_char(&b, '.');
	buf_put_char(&b, 'M');
	buf_put_num_wide(&b, s->now.microseconds, 6);
	buf_put_str(&b, s->unique);
	buf_put_char(&b, 'Q');
	buf_put_num(&b, ++s->n_transactions);
	buf_terminate(&b);
}

/* RFC 6531 3.5 */
static const struct reply *judge_sender(const struct session *s, const struct path *path,
	const struct mail_params *params)
{
	if (!path->utf8)
		return NULL;
	if (!params->smtputf8)
		return reply_get(REPLY_ADDRESS_UTF8);
	return names_check_sender(s->settings->names, path);
}

/* Keeps the fault of this host for which the engine refuses an address or parameter. */
static void note_fault(struct session *s, struct answer refusal)
{
	if (s->tx.fault)
		return;
	if (refusal.reply == reply_get(REPLY_NAMES_UNAVAILABLE))
		s->tx.fault = s->settings->names->fault;
	/*
	 * all are DSN parameters, except AUTH, whose fault is in the record of the login
	 */
	else if (refusal.reply == reply_get(REPLY_PARAMETER_UNAVAILABLE) &&
		 !span_ieq(refusal.argument, SPAN("AUTH")))
		s->tx.fault = s->settings->dsn_fault;
}

/*
 * Opens a transaction, even for a sender that is refused for a fault of this host, so
 * that this is recorded like the refusal of a stage.
 */
static struct answer open_tx(struct session *s, const struct path *path,
	const struct mail_params *params, struct answer refusal)
{
	struct buf reason = BUF(s->tx.rcpt_reason);

	if (tx_open(&s->tx, path, params) < 0) {
		s->tx.open = true;
		refusal = answer(REPLY_NO_MEMORY);
	}
	s->tx.since = s->now;
	s->tx.user = s->user[0] ? s->user : NULL;
	make_id(s);
	if (!refusal.reply)
		return (struct answer){ .reply = stages_mail(&s->stages, &s->tx) };
	note_fault(s, refusal);
	s->tx.rcpt_refusal = refusal.reply;
	reply_put_text(&reason, refusal.reply, refusal.argument);
	buf_terminate(&reason);
	return refusal;
}

void mail_end(struct session *s, const struct reply *outcome)
{
	if (!s->tx.open)
		return;
	s->lenient |= s->tx.lenient | s->tx.bare;
	record_message(s, outcome);
	stages_clear(&s->stages);
	tx_clear(&s->tx);
}

struct answer mail_mail(struct session *s, struct span args)
{
	struct mail_params params = { 0 };
	enum path_fault fault;
	struct path path;
	struct answer a;

	fault = path_take(&args, PATH_REVERSE, &path);
	if (fault == PATH_KEYWORD)
		return answer(REPLY_FROM_MISSING);
	if (fault == PATH_SYNTAX || (!path.null && !path.domain.n))
		return answer(REPLY_SENDER_SYNTAX);
	a = params_mail(s, args, &params);
	if (!a.reply)
		a.reply = judge_sender(s, &path, &params);
	if (a.reply && !reply_is_fault(a.reply))
		return a;
	s->tx.written_params = args;
	a = open_tx(s, &path, &params, a);
	if (a.reply == reply_get(REPLY_MISCONFIGURED))
		s->end = END_MISCONFIGURED;
	if (a.reply) {
		mail_end(s, a.reply);
		a.recorded = true;
		return a;
	}
	s->phase = PHASE_MAIL;
	return answer(REPLY_SENDER_OK);
}

static const struct reply *add_recipient(
	struct session *s, const struct path *path, const struct rcpt_params *params)
{
	struct recipient *recipient;
	const struct reply *r = NULL;

	/* checked before the recipient is copied or looked up */
	if (s->tx.n_recipients >= s->settings->recipient_limit)
		return reply_get(REPLY_RECIPIENT_MANY);
	if (path->utf8 && !s->tx.params.smtputf8)
		return reply_get(REPLY_ADDRESS_UTF8);
	if (tx_add_recipient(&s->tx, path, params, &recipient) < 0)
		return reply_get(REPLY_NO_MEMORY);
	if (path->utf8)
		r = names_settle(s->settings->names, recipient);
	if (!r)
		r = stages_rcpt(&s->stages, &s->tx, recipient);
	if (r)
		tx_drop_recipient(&s->tx);
	else if (s->tracer)
		s->tracer->accepted(s->tracer, recipient);
	return r;
}

/*
 * Changes <info> to <info@hostname>, because stages treat recipients without a domain as
 * local.
 */
static void qualify(struct session *s, struct path *path)
{
	struct buf b = BUF(s->scratch);

	buf_put(&b, path->local);
	path->local = buf_span(&b);
	buf_put_char(&b, '@');
	buf_put_str(&b, s->settings->hostname);
	path->text = buf_span(&b);
}

/* Stages may want to see what was refused before they had a say. */
static void show_refused(struct session *s, struct span mailbox, struct answer refusal)
{
	const size_t n_codes = strlen("550 ") + strlen(refusal.reply->enhanced) + 1;
	char text[REPLY_LINE_MAX];
	struct buf b = BUF(text);

	reply_put_text(&b, refusal.reply, refusal.argument);
	stages_refused(&s->stages, &s->tx, mailbox, refusal.reply,
		span_from(buf_span(&b), n_codes));
}

struct answer mail_rcpt(struct session *s, struct span args)
{
	struct rcpt_params params = { 0 };
	enum path_fault fault;
	struct path path;
	struct answer a;

	fault = path_take(
		&args, s->settings->lmtp ? PATH_FORWARD_LOCAL : PATH_FORWARD, &path);
	if (fault == PATH_KEYWORD)
		return answer(REPLY_TO_MISSING);
	if (fault == PATH_SYNTAX || path.null)
		return answer(REPLY_RECIPIENT_SYNTAX);
	if (s->settings->lmtp && !path.domain.n)
		qualify(s, &path);
	s->tx.written_params = args;
	a = params_rcpt(s, args, &params);
	if (!a.reply)
		a.reply = add_recipient(s, &path, &params);
	if (a.reply) {
		note_fault(s, a);
		tx_keep_refused(&s->tx, path.text);
		show_refused(s, path.text, a);
		return a;
	}
	s->tx.lenient |= path.lenient;
	return answer(REPLY_RECIPIENT_OK);
}

static const char *with_protocol(const struct session *s)
{
	return received_protocol(&(struct received_protocol){ .esmtp = s->esmtp,
		.lmtp = s->settings->lmtp,
		.utf8 = s->tx.params.smtputf8,
		.secured = s->secured,
		.authenticated = s->tx.user });
}

/* Builds the Received field, with the recipient if it is the only one (privacy). */
static struct span build_trace(struct session *s)
{
	struct buf b = { .p = s->scratch, .cap = RECEIVED_MAX };
	const struct recipient *only = s->tx.n_recipients == 1 ? s->tx.recipients : NULL;
	const struct span named = only ? only->mailbox : SPAN("");

	received_put(
		&b, &(struct received){
			    .reverse_path = span_of(s->tx.sender),
			    .recipient = named,
			    .delivered_to = s->settings->original_to ? SPAN("") : named,
			    .helo = span_of(s->helo),
			    .peer = span_of(s->peer.address),
			    .peer_name = span_of(s->peer.name),
			    .host = span_of(s->settings->hostname),
			    .with = span_of(with_protocol(s)),
			    .user = span_of(s->tx.user),
			    .tls_cipher = span_of(s->tls.cipher),
			    .tls_group = span_of(s->tls.group),
			    .id = span_of(s->tx.id),
			    .time = s->now.seconds,
		    });
	return buf_span(&b);
}

/*
 * Returns 554 when all recipients were refused, or 451 when all refusals were temporary,
 * because a permanent reply would bounce mail that can be delivered later. Returns 503 in
 * LMTP (RFC 2033 4.2), in which each recipient has its own reply.
 */
static const struct reply *no_recipients(const struct session *s)
{
	if (!s->tx.n_refused || s->settings->lmtp)
		return reply_get(REPLY_RECIPIENT_FIRST);
	return reply_get(s->tx.n_deferred == s->tx.n_refused ? REPLY_NO_RECIPIENT_NOW
							     : REPLY_NO_RECIPIENT);
}

const struct reply *mail_begin_content(struct session *s)
{
	const struct reply *r;

	if (s->tx.n_recipients == 0)
		return no_recipients(s);
	r = stages_data(&s->stages, &s->tx, build_trace(s));
	s->first_line = (struct first_line){ 0 };
	return r;
}

struct answer mail_data(struct session *s, struct span args)
{
	const struct reply *refusal;

	(void)args;
	if (s->tx.params.body == BODY_BINARYMIME)
		return answer(REPLY_BINARY_DATA);
	refusal = mail_begin_content(s);
	/* without recipients the transaction stays open for another RCPT */
	if (refusal && s->tx.n_recipients) {
		s->phase = PHASE_GREETED;
		mail_end(s, refusal);
		return (struct answer){ .reply = refusal, .recorded = true };
	}
	if (refusal)
		return (struct answer){ .reply = refusal };
	s->data = (struct data){ .at = s->line_crlf ? DATA_AFTER_CRLF : DATA_AFTER_LF };
	s->phase = PHASE_CONTENT;
	return answer(REPLY_START_CONTENT);
}

/* Passes text to the header parser, and to the stages unless the message is refused. */
static void pass_on(struct session *s, struct span text)
{
	struct tx *tx = &s->tx;

	header_watch(&tx->header, text);
	if (!tx->refusal)
		tx->refusal = stages_body(&s->stages, tx, text);
}

void mail_text(struct session *s, struct span text)
{
	struct span piece;

	s->tx.octets = s->data.octets;
	s->tx.bare = s->data.bare;
	if (!first_line_take(&s->first_line, &text, &piece))
		/* the call with an empty piece lets stages check the number of octets */
		piece = SPAN("");
	do
		pass_on(s, piece);
	while (first_line_take(&s->first_line, &text, &piece));
}

void mail_end_text(struct session *s)
{
	first_line_end(&s->first_line);
	mail_text(s, SPAN(""));
}

bool mail_content(struct session *s, struct bytes *in)
{
	struct span text;
	bool end = data_take(&s->data, in, &text);

	mail_text(s, text);
	if (end)
		mail_end_text(s);
	return end;
}

/*
 * Counts the recipients whose refusal differs from that of the message. `refusal` is NULL
 * if the message was delivered to the others.
 */
static void note_refused(struct tx *tx, const struct reply *refusal)
{
	for (size_t i = 0; i < tx->n_recipients; i++) {
		if (!tx->recipients[i].reply || tx->recipients[i].reply == refusal)
			continue;
		tx->n_refused++;
		tx->refusal = tx->recipients[i].reply;
	}
}

/*
 * True when each recipient gets a reply: always in LMTP; with PRDR for two or more
 * recipients of the client, as in Exim, unless the message itself is refused
 * (draft-hall-prdr-00 4.4).
 */
static bool replies_to_each(const struct session *s, const struct reply *r)
{
	if (s->settings->lmtp)
		return true;
	return s->tx.each && (reply_is_positive(r) || tx_fold(&s->tx));
}

struct answer mail_deliver(struct session *s)
{
	struct answer a = { .reply = s->tx.refusal };
	/* filters have added no recipient yet */
	bool each = s->settings->lmtp || (s->tx.params.prdr && s->tx.n_recipients > 1);

	if (!a.reply)
		a.reply = stages_deliver(&s->stages, &s->tx, each);
	if (!a.reply) {
		note_refused(&s->tx, NULL);
		s->n_messages++;
		s->n_reports += s->tx.report != NULL;
		s->n_errors = s->n_junk = s->n_overshoot = 0;
		a = answer_with(REPLY_ACCEPTED, span_of(s->tx.id));
	} else {
		if (a.reply == reply_get(REPLY_FILTER_DISCARDED))
			a = answer_with(REPLY_FILTER_DISCARDED, span_of(s->tx.id));
		if (s->tx.each)
			note_refused(&s->tx, a.reply);
	}
	s->n_owed = s->tx.n_recipients - s->tx.n_added;
	s->phase = replies_to_each(s, a.reply) ? PHASE_RESULTS : PHASE_GREETED;
	return a;
}
