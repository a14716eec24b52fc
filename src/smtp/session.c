/*
 * Promises the same replies however the input is split, and that only this file writes
 * them. Refuses to know what a command means; see verbs.c.
 */
#include "smtp/session.h"
#include "proto/command.h"
#include "proto/text.h"
#include "smtp/verbs.h"

struct ending {
	const char *word;
	enum reply_name reply; /* REPLY_COUNT: nothing is said */
};

static const struct ending endings[] = {
	[END_QUIT] = { "quit", REPLY_COUNT },
	[END_EOF] = { "eof", REPLY_COUNT },
	[END_BROKEN] = { "broken", REPLY_COUNT },
	[END_TIMEOUT] = { "timeout", REPLY_TIMEOUT },
	[END_SESSION_TIMEOUT] = { "session-timeout", REPLY_SESSION_TIMEOUT },
	[END_SHUTDOWN] = { "shutdown", REPLY_SHUTDOWN },
	[END_ERRORS] = { "errors", REPLY_ERRORS },
	[END_TRANSACTIONS] = { "transactions", REPLY_COUNT },
	[END_REJECTED] = { "rejected", REPLY_COUNT },
	[END_TLS_FAILED] = { "tls-failed", REPLY_COUNT },
	[END_TLS_UNUSABLE] = { "tls-unusable", REPLY_TLS_UNUSABLE_END },
	[END_TLS_INJECTION] = { "tls-injection", REPLY_COUNT },
	[END_CHUNK] = { "bad-chunk", REPLY_COUNT },
	[END_FOREIGN_TLS] = { "foreign-tls", REPLY_FOREIGN_TLS },
	[END_FOREIGN_HTTP] = { "foreign-http", REPLY_COUNT },
	[END_MISCONFIGURED] = { "misconfigured", REPLY_MISCONFIGURED },
};

const char *session_end_word(enum session_end why)
{
	return endings[why].word;
}

void session_init(struct session *s, const struct session_settings *settings,
	struct stages stages, struct recorder *recorder, const char *unique,
	const struct moment *now)
{
	memset(s, 0, offsetof(struct session, out_octets));
	s->settings = settings;
	s->stages = stages;
	s->recorder = recorder;
	s->unique = unique;
	s->now = s->since = *now;
	s->phase = PHASE_CONNECTED;
	s->out = BUF(s->out_octets);
}

const struct reply *session_reply(
	struct session *s, enum reply_name name, struct span argument)
{
	s->argument = argument;
	return reply_get(name);
}

/* A client that offers more recipients than it may has done nothing wrong (RFC 5321 4.5.3.1.10). */
static bool is_error(struct session *s, const struct reply *r)
{
	return r != reply_get(REPLY_RECIPIENT_MANY) ||
	       s->n_overshoot++ >= RECIPIENT_OVERSHOOT_MAX;
}

static void say(struct session *s, const struct reply *r)
{
	reply_put(&s->out, r, s->argument);
	if (!reply_is_positive(r)) {
		struct buf b = BUF(s->reason);
		reply_put_text(&b, r, s->argument);
		buf_terminate(&b);
	}
	s->argument = (struct span){ 0 };
}

static void count(struct session *s, const struct reply *r)
{
	if (reply_is_positive(r))
		return;
	s->n_refused++;
	s->n_errors += is_error(s, r);
}

/* The reply to a command or a message. */
static void put_reply(struct session *s, const struct reply *r)
{
	say(s, r);
	count(s, r);
}

void session_greet(struct session *s)
{
	struct buf b = BUF(s->scratch);

	buf_put_str(&b, s->settings->hostname);
	buf_put_char(&b, ' ');
	buf_put_str(&b, s->settings->banner);
	put_reply(s, session_reply(s, REPLY_READY, buf_span(&b)));
}

void session_end_tx(struct session *s, const struct reply *outcome)
{
	if (!s->tx.open)
		return;
	s->outcome = outcome;
	s->lenient |= s->tx.lenient | s->tx.bare;
	record_write(s, RECORD_MESSAGE);
	stages_clear(&s->stages);
	tx_clear(&s->tx);
}

static void end_session(struct session *s, enum session_end why)
{
	if (s->phase == PHASE_ENDED)
		return;
	s->end = why;
	/* what has been delivered is so, whoever heard of it */
	session_end_tx(s, s->phase == PHASE_RESULTS ? s->result : NULL);
	s->phase = PHASE_ENDED;
	record_write(s, RECORD_SESSION);
}

void session_stop(struct session *s, enum session_end why, const struct moment *now)
{
	if (s->phase == PHASE_ENDED)
		return;
	s->now = *now;
	if (endings[why].reply != REPLY_COUNT)
		reply_put(&s->out, reply_get(endings[why].reply), SPAN(""));
	end_session(s, why);
}

/* What was wrong with a line before anybody looks at its words. */
static const struct reply *line_refusal(struct session *s, const struct line *line)
{
	if (line->too_long && command_is_http(line->text))
		s->end = END_FOREIGN_HTTP;
	if (line->too_long)
		return reply_get(s->end ? REPLY_FOREIGN_HTTP : REPLY_LINE_TOO_LONG);
	if (line->nul)
		return reply_get(REPLY_LINE_NUL);
	s->lenient |= line->bare || command_is_padded(line->text);
	if (line->bare && s->settings->bare_newline == BARE_REJECT)
		return reply_get(REPLY_LINE_BARE);
	return NULL;
}

/* Ends the session when the last command, or too many of them, ended it. */
static void end_if_due(struct session *s)
{
	if (s->end != END_NONE)
		end_session(s, s->end);
	else if (s->n_errors >= s->settings->error_limit)
		session_stop(s, END_ERRORS, &s->now);
}

/* Plaintext in hand behind STARTTLS may come from somebody else (RFC 3207 6): it is never
 * executed. */
static void turn_to_tls(struct session *s, const struct bytes *in)
{
	if (in->n == 0)
		return;
	s->wants_tls = false;
	put_reply(s, reply_get(REPLY_TLS_EARLY));
	s->end = END_TLS_INJECTION;
}

/* True when a whole command was there. */
static bool take_command(struct session *s, struct bytes *in)
{
	const struct reply *r;
	struct line line;

	if (s->line.n_dropped == 0 && command_is_tls(*in)) {
		session_stop(s, END_FOREIGN_TLS, &s->now);
		return true;
	}
	if (!line_take(&s->line, in, COMMAND_LINE_MAX + COMMAND_EXTRA_MAX, &line))
		return false;
	s->line_crlf = line.crlf;
	r = line_refusal(s, &line);
	if (!line.too_long)
		r = verbs_dispatch(s, line.text, line.text.n + 1 + line.crlf, r);
	if (r)
		put_reply(s, r);
	else if (s->wants_tls)
		turn_to_tls(s, in);
	return true;
}

/* What has become of a message, or of a piece of it. */
static void put_outcome(struct session *s, const struct reply *r)
{
	if (s->phase == PHASE_RESULTS) {
		s->result = r;
		s->n_told = 0;
		if (!s->settings->lmtp)
			reply_put(&s->out, reply_get(REPLY_RESULTS), SPAN(""));
		return;
	}
	put_reply(s, r);
	if (s->phase == PHASE_GREETED)
		session_end_tx(s, r);
}

/* A reply for each recipient that was accepted, in that order (RFC 2033 4.2); PRDR has one more for all. */
static bool put_result(struct session *s)
{
	const struct reply *r = s->result;

	if (s->n_told < s->tx.n_recipients) {
		const struct recipient *to = &s->tx.recipients[s->n_told++];
		s->argument = span_of(s->tx.id);
		say(s, to->reply ? to->reply : r);
		return true;
	}
	s->argument = span_of(s->tx.id);
	if (!s->settings->lmtp)
		say(s, r);
	count(s, r);
	s->phase = PHASE_GREETED;
	session_end_tx(s, r);
	return true;
}

/* True when the end of the content was there. */
static bool take_content(struct session *s, struct bytes *in)
{
	if (!mail_content(s, in))
		return false;
	put_outcome(s, mail_deliver(s));
	return true;
}

/* True when the end of the chunk was there. */
static bool take_chunk(struct session *s, struct bytes *in)
{
	if (!chunk_content(s, in))
		return false;
	put_outcome(s, chunk_reply(s));
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
	default:
		return take_command(s, in);
	}
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
		if (!take_step(s, in))
			return SESSION_INPUT;
		end_if_due(s);
	}
	return SESSION_END;
}

void session_tls_fault(struct session *s, const char *fault)
{
	struct buf b = BUF(s->tls_fault);

	text_escape(&b, span_of(fault), FACT_NAME_MAX - 1);
	buf_terminate(&b);
}

void session_tls_ready(struct session *s, enum tls_verdict verdict)
{
	s->wants_tls = false;
	s->tls_unusable = verdict == TLS_UNUSABLE;
	if (verdict == TLS_READY) {
		put_reply(s, reply_get(REPLY_GO_AHEAD));
	} else if (s->settings->tls == TLS_ON) {
		put_reply(s, reply_get(REPLY_TLS_UNUSABLE));
		end_if_due(s);
	} else {
		session_stop(s, END_TLS_UNUSABLE, &s->now);
	}
}

void session_secured(struct session *s, const struct tls_facts *facts)
{
	session_end_tx(s, NULL);
	s->phase = PHASE_CONNECTED;
	s->helo[0] = '\0';
	s->esmtp = false;
	s->secured = true;
	s->tls = *facts;
}

void session_tls_failed(
	struct session *s, const struct tls_failure *failure, const struct moment *now)
{
	s->now = *now;
	s->tls_failed = true;
	s->failure = failure;
	end_session(s, END_TLS_FAILED);
	s->failure = NULL;
}

/* In TLS 1.3 a server is through before the client has judged (RFC 8446 4.4.4). */
void session_tls_lost(struct session *s, enum session_end why,
	const struct tls_failure *failure, const struct moment *now)
{
	if (failure->how == TLS_END_ALERT && !s->helo[0]) {
		session_tls_failed(s, failure, now);
		return;
	}
	s->failure = failure;
	session_stop(s, why, now);
	s->failure = NULL;
}

const char *session_status(const struct session *s)
{
	if (s->tls_failed)
		return "SSL Error (SMTP Receive)";
	return s->rejected && !s->secured ? "SSL Error (SMTP RX Reject)" : NULL;
}
