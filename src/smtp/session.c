/* SPDX-License-Identifier: ISC */
/*
 * The session: takes input in steps and writes all replies. The replies do not depend on
 * how the input is split. verbs.c carries out the commands.
 */
#include "smtp/session.h"
#include "proto/line.h"
#include "proto/text.h"
#include "smtp/auth.h"
#include "smtp/ending.h"
#include "smtp/record.h"
#include "smtp/verbs.h"

/*
 * COST: 9 % of a plain session's instructions (callgrind), and the first use of five
 * pages; without it: the whole struct is cleared, with the buffers at its end.
 */
static void clear(struct session *s)
{
	memset(s, 0, offsetof(struct session, out_octets));
}

void session_init(struct session *s, const struct session_settings *settings,
	struct stages stages, struct recorder *recorder, const char *unique,
	const struct moment *now)
{
	clear(s);
	s->settings = settings;
	s->stages = stages;
	s->recorder = recorder;
	s->unique = unique;
	s->now = s->since = *now;
	s->phase = PHASE_CONNECTED;
	s->out = BUF(s->out_octets);
}

/*
 * More recipients than the limit are no fault of the client (RFC 5321 4.5.3.1.10): it may
 * have pipelined them, and the accepted ones must get the message. The same holds for
 * recipients that filters are not asked about beside others, and for chunks sent before
 * the first one's refusal was read (RFC 3030 2).
 */
static bool is_error(struct session *s, const struct reply *r)
{
	if (r == s->refused_message)
		return false;
	return (r != reply_get(REPLY_RECIPIENT_MANY) &&
		       r != reply_get(REPLY_FILTER_APART)) ||
	       s->n_overshoot++ / RECIPIENT_OVERSHOOT >= s->settings->recipient_limit;
}

static void send_reply(struct session *s, struct answer a)
{
	struct buf b = BUF(s->reason);

	if (reply_is_positive(a.reply)) {
		reply_put(&s->out, a.reply, a.argument);
	} else {
		/* kept as text, because records have it as it was sent */
		reply_put_text(&b, a.reply, a.argument);
		if (reply_has_lines(a.reply)) {
			reply_put(&s->out, a.reply, a.argument);
		} else {
			buf_put(&s->out, buf_span(&b));
			buf_put(&s->out, SPAN("\r\n"));
		}
		buf_terminate(&b);
	}
}

static void count(struct session *s, struct answer a)
{
	if (reply_is_positive(a.reply))
		return;
	if (s->end == END_NONE)
		s->end = ending_of_refusal(a.reply);
	s->n_refused++;
	s->n_unrecorded += !a.recorded;
	if (!a.recorded)
		memcpy(s->unrecorded, s->reason, sizeof(s->unrecorded));
	s->n_errors += is_error(s, a.reply);
}

/* Writes the reply to a command or a message, and counts refusals. */
static void put_reply(struct session *s, struct answer a)
{
	if (s->pause_until) {
		s->delayed = a;
		return;
	}
	send_reply(s, a);
	count(s, a);
}

void session_greet(struct session *s)
{
	struct buf b = BUF(s->scratch);

	buf_put_str(&b, s->settings->hostname);
	buf_put_char(&b, ' ');
	buf_put_str(&b, s->settings->banner);
	put_reply(s, answer_with(REPLY_READY, buf_span(&b)));
}

static void end_results(struct session *s)
{
	count(s, (struct answer){ .reply = s->result, .recorded = true });
	s->phase = PHASE_GREETED;
	mail_end(s, s->result);
}

/*
 * True for a health check of a proxy, at any layer: the proxy sends its own address as
 * the client's, begins no transaction, gets no refusal and closes.
 */
static bool is_proxy_check(const struct session *s, enum session_end why)
{
	return (why == END_QUIT || why == END_EOF || why == END_BROKEN) &&
	       s->peer.is_proxy && s->n_transactions == 0 && s->n_refused == 0;
}

static void end_session(
	struct session *s, enum session_end why, const struct tls_failure *failure)
{
	if (s->phase == PHASE_ENDED)
		return;
	s->end = is_proxy_check(s, why) ? END_PROXY_CHECK : why;
	/* delivered messages are recorded as such even if no reply reached the client */
	if (s->phase == PHASE_RESULTS)
		end_results(s);
	if (s->phase == PHASE_AUTH)
		auth_give_up(s);
	mail_end(s, NULL);
	s->phase = PHASE_ENDED;
	record_session(s, failure);
}

void session_refuse(struct session *s, enum session_end why, struct span argument,
	const struct moment *now)
{
	const struct reply *reply = session_end_reply(why);

	s->now = *now;
	if (reply)
		put_reply(s, (struct answer){ .reply = reply, .argument = argument });
	end_session(s, why, NULL);
}

static void stop(struct session *s, enum session_end why,
	const struct tls_failure *failure, const struct moment *now)
{
	const struct reply *reply = session_end_reply(why);

	if (s->phase == PHASE_ENDED)
		return;
	s->now = *now;
	if (reply)
		reply_put(&s->out, reply, SPAN(""));
	end_session(s, why, failure);
}

void session_stop(struct session *s, enum session_end why, const struct moment *now)
{
	stop(s, why, NULL, now);
}

/* Ends the session after a command that ends it, or too many refusals. */
static void end_if_due(struct session *s)
{
	if (s->end != END_NONE)
		end_session(s, s->end, NULL);
	else if (s->delayed.reply)
		return;
	else if (s->n_auth_failures >= AUTH_FAILURES_MAX)
		session_stop(s, END_AUTH_FAILURES, &s->now);
	else if (s->n_errors >= s->settings->error_limit)
		session_stop(s, END_ERRORS, &s->now);
}

/*
 * Octets in the clear after STARTTLS may be injected by a third party (RFC 3207 6). They
 * are never carried out.
 */
static void turn_to_tls(struct session *s, struct bytes *in)
{
	if (in->n == 0)
		return;
	*in = (struct bytes){ in->p + in->n, 0 };
	s->wants_tls = false;
	put_reply(s, answer(REPLY_TLS_EARLY));
	s->end = END_TLS_INJECTION;
}

/*
 * True for refusals of RCPT that are typical of clients that search for addresses or open
 * relays.
 */
static bool is_unknown(const struct reply *r)
{
	return r == reply_get(REPLY_MAILBOX_UNKNOWN) ||
	       r == reply_get(REPLY_DOMAIN_UNKNOWN);
}

/* True when a whole command was taken. */
static bool take_command(struct session *s, struct bytes *in)
{
	struct answer a = { 0 };
	struct line line;
	bool is_rcpt;

	if (s->line.n_dropped == 0 && command_is_tls(*in)) {
		*in = (struct bytes){ in->p + in->n, 0 };
		session_refuse(s, END_FOREIGN_TLS, SPAN(""), &s->now);
		return true;
	}
	if (!line_take(&s->line, in, COMMAND_LINE_MAX + COMMAND_EXTRA_MAX, &line))
		return false;
	s->line_crlf = line.crlf;
	a.reply = verbs_line(s, &line);
	if (line.too_long)
		s->refused_message = NULL;
	else
		a = verbs_dispatch(s, line.text, line.text.n + 1 + line.crlf, a.reply);
	is_rcpt = a.reply && s->phase == PHASE_MAIL && !reply_is_positive(a.reply) &&
		  verbs_is_rcpt(line.text);
	a.recorded |= is_rcpt;
	if (a.reply)
		put_reply(s, a);
	else if (s->wants_tls)
		turn_to_tls(s, in);
	if (is_rcpt && is_unknown(a.reply))
		s->n_unknown++;
	if (is_rcpt)
		tx_note_refusal(&s->tx, a.reply, s->reason);
	return true;
}

/* True when a whole response was taken. */
static bool take_response(struct session *s, struct bytes *in)
{
	struct answer a = auth_response(s, in);

	if (a.reply)
		put_reply(s, a);
	return a.reply;
}

/* Sends the delayed reply when it is due, and returns true. */
static bool end_pause(struct session *s)
{
	struct answer a = s->delayed;

	if (s->now.milliseconds < s->pause_until)
		return false;
	s->pause_until = 0;
	s->delayed = (struct answer){ 0 };
	put_reply(s, a);
	return true;
}

/* Writes the reply to a message, or to a chunk. */
static void put_outcome(struct session *s, struct answer a)
{
	if (s->phase == PHASE_RESULTS) {
		s->result = a.reply;
		s->n_replied = 0;
		if (!s->settings->lmtp)
			reply_put(&s->out, reply_get(REPLY_RESULTS), SPAN(""));
		return;
	}
	a.recorded = s->phase == PHASE_GREETED && s->tx.open;
	put_reply(s, a);
	if (s->phase == PHASE_GREETED)
		mail_end(s, a.reply);
}

/*
 * Sends one reply for each accepted recipient, in their order (RFC 2033 4.2); PRDR has
 * one more for all.
 */
static bool put_result(struct session *s)
{
	const struct reply *r = s->result;
	bool last = s->n_replied == s->n_owed;

	/* of a message that ended earlier only the number of recipients is kept */
	if (!last && s->tx.open && s->tx.recipients[s->n_replied].reply)
		r = s->tx.recipients[s->n_replied].reply;
	if (!last || !s->settings->lmtp)
		send_reply(
			s, (struct answer){ .reply = r, .argument = span_of(s->tx.id) });
	if (last)
		end_results(s);
	else
		s->n_replied++;
	return true;
}

/* True when the end of the content was found. */
static bool take_content(struct session *s, struct bytes *in)
{
	if (!mail_content(s, in))
		return false;
	put_outcome(s, mail_deliver(s));
	return true;
}

/* True when the end of the chunk was reached. */
static bool take_chunk(struct session *s, struct bytes *in)
{
	struct answer a;

	if (!chunk_content(s, in))
		return false;
	a = chunk_reply(s);
	put_outcome(s, a);
	if (!reply_is_positive(a.reply) && !s->chunk_last && s->phase == PHASE_GREETED)
		s->refused_message = a.reply;
	return true;
}

/* True when there was enough input for a step. */
static bool take_step(struct session *s, struct bytes *in)
{
	switch (s->phase) {
	case PHASE_CONTENT:
		return take_content(s, in);
	case PHASE_CHUNK:
		return take_chunk(s, in);
	case PHASE_RESULTS:
		return put_result(s);
	case PHASE_AUTH:
		return take_response(s, in);
	default:
		return take_command(s, in);
	}
}

/*
 * Takes a step, and passes the octets taken to the tracer: content as it was before
 * decoding.
 */
static bool take_watched(struct session *s, struct bytes *in)
{
	static const struct {
		enum phase phase;
		enum traced what;
	} contents[] = { { PHASE_CONTENT, TRACED_CONTENT },
		{ PHASE_CHUNK, TRACED_CHUNK } };
	enum traced what = s->phase == PHASE_AUTH ? TRACED_RESPONSE : TRACED_COMMAND;
	struct span seen = { in->p, in->n };
	size_t n = in->n;
	bool done;

	for (size_t i = 0; i < sizeof(contents) / sizeof(*contents); i++)
		if (s->phase == contents[i].phase)
			what = contents[i].what;
	if (what == TRACED_CONTENT || what == TRACED_CHUNK)
		seen = s->tracer->keep(s->tracer, *in);
	done = take_step(s, in);
	seen.n = seen.n ? n - in->n : 0;
	if (seen.n)
		s->tracer->took(s->tracer, what, seen, done);
	return done;
}

enum session_want session_take(
	struct session *s, struct bytes *in, const struct moment *now)
{
	s->now = *now;
	while (s->phase != PHASE_ENDED) {
		if (s->wants_tls)
			return SESSION_TLS;
		if (buf_room(&s->out) < SESSION_OUT_ROOM)
			return SESSION_OUTPUT;
		if (s->delayed.reply) {
			if (!end_pause(s))
				return SESSION_PAUSE;
		} else if (!(s->tracer ? take_watched(s, in) : take_step(s, in)))
			return SESSION_INPUT;
		end_if_due(s);
	}
	return SESSION_END;
}

void session_tls_ready(struct session *s, enum tls_verdict verdict)
{
	s->wants_tls = false;
	s->tls_unusable = verdict == TLS_UNUSABLE;
	if (verdict == TLS_READY) {
		put_reply(s, answer(REPLY_GO_AHEAD));
	} else if (s->settings->tls == TLS_ON) {
		put_reply(s, answer(REPLY_TLS_UNUSABLE));
		end_if_due(s);
	} else {
		session_refuse(s, END_TLS_UNUSABLE, SPAN(""), &s->now);
	}
}

void session_tls_fault(struct session *s, const char *fault)
{
	struct buf b = BUF(s->tls_fault);

	text_escape(&b, span_of(fault), FACT_NAME_MAX - 1);
	buf_terminate(&b);
}

void session_secured(struct session *s, const struct tls_facts *facts)
{
	/* set first, because a transaction that STARTTLS ends is not an address check */
	s->phase = PHASE_CONNECTED;
	mail_end(s, NULL);
	s->helo[0] = '\0';
	s->esmtp = false;
	s->secured = true;
	s->tls = *facts;
}

void session_tls_failed(
	struct session *s, const struct tls_failure *failure, const struct moment *now)
{
	s->tls_failed = true;
	stop(s, END_TLS_FAILED, failure, now);
}

/*
 * In TLS 1.3 the server finishes before the client has checked the certificate (RFC 8446
 * 4.4.4).
 */
void session_tls_lost(struct session *s, enum session_end why,
	const struct tls_failure *failure, const struct moment *now)
{
	if (failure->how == TLS_END_ALERT && !s->helo[0]) {
		session_tls_failed(s, failure, now);
		return;
	}
	stop(s, why, failure, now);
}
