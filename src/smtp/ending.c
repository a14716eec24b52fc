/* SPDX-License-Identifier: ISC */
/*
 * The endings of sessions, transactions and logins. Each reason why a session ends has
 * one word and one reply. Each ended object has one topic, the first that fits. A session
 * has one line for its current state.
 */
#include "smtp/ending.h"
#include "proto/text.h"

#define HELO_SHOWN_MAX 80

struct ending {
	const char *word;
	enum reply_name reply; /* REPLY_COUNT: none */
};

static const struct ending endings[] = {
	[END_QUIT] = { "quit", REPLY_COUNT },
	[END_EOF] = { "eof", REPLY_COUNT },
	[END_BROKEN] = { "broken", REPLY_COUNT },
	[END_TIMEOUT] = { "timeout", REPLY_TIMEOUT },
	[END_SESSION_TIMEOUT] = { "session-timeout", REPLY_SESSION_TIMEOUT },
	[END_SLOW] = { "slow", REPLY_SLOW },
	[END_SHUTDOWN] = { "shutdown", REPLY_SHUTDOWN },
	[END_ERRORS] = { "errors", REPLY_ERRORS },
	[END_AUTH_FAILURES] = { "auth-failures", REPLY_AUTH_FAILURES },
	[END_SOURCE_FAILURES] = { "source-failures", REPLY_SOURCE_FAILURES },
	[END_TRANSACTIONS] = { "transactions", REPLY_COUNT },
	[END_REPORTS] = { "reports", REPLY_COUNT },
	[END_REJECTED] = { "rejected", REPLY_COUNT },
	[END_TLS_FAILED] = { "tls-failed", REPLY_COUNT },
	[END_TLS_UNUSABLE] = { "tls-unusable", REPLY_TLS_UNUSABLE_END },
	[END_TLS_INJECTION] = { "tls-injection", REPLY_COUNT },
	[END_FILTER] = { "filter", REPLY_COUNT },
	[END_CHUNK] = { "bad-chunk", REPLY_COUNT },
	[END_FOREIGN_TLS] = { "foreign-tls", REPLY_FOREIGN_TLS },
	[END_FOREIGN_HTTP] = { "foreign-http", REPLY_COUNT },
	[END_MISCONFIGURED] = { "misconfigured", REPLY_MISCONFIGURED },
	[END_DENIED] = { "denied", REPLY_DENIED },
	[END_BAD_PROXY] = { "bad-proxy", REPLY_BAD_PROXY },
	[END_PROXY_CHECK] = { "proxy-check", REPLY_COUNT },
};

const char *session_end_word(enum session_end why)
{
	return endings[why].word;
}

const struct reply *session_end_reply(enum session_end why)
{
	return endings[why].reply == REPLY_COUNT ? NULL : reply_get(endings[why].reply);
}

enum session_end ending_of_refusal(const struct reply *r)
{
	const size_t n = sizeof(endings) / sizeof(*endings);

	for (size_t i = 0; i < n; i++)
		if (r->code == REPLY_CODE_END &&
			r == session_end_reply((enum session_end)i))
			return (enum session_end)i;
	return r->code == REPLY_CODE_END ? END_FILTER : END_NONE;
}

bool ending_is_check(const struct session *s, const struct reply *outcome)
{
	return !outcome && s->phase == PHASE_MAIL && s->tx.n_recipients &&
	       !s->tx.n_refused && (s->end == END_NONE || s->end == END_QUIT);
}

bool ending_is_delivered(const struct reply *outcome)
{
	return outcome && reply_is_positive(outcome) &&
	       outcome != reply_get(REPLY_FILTER_DISCARDED);
}

bool ending_is_refused(const struct session *s, const struct reply *outcome)
{
	if (outcome)
		return !reply_is_positive(outcome);
	return s->tx.n_refused && s->tx.n_recipients == 0;
}

const struct reply *ending_refusal(const struct session *s, const struct reply *outcome)
{
	bool refused = outcome && !reply_is_positive(outcome);

	if (refused && !(s->tx.rcpt_refusal && s->tx.n_recipients == 0))
		return outcome;
	return s->tx.refusal ? s->tx.refusal : s->tx.rcpt_refusal;
}

/* Returns the topic of an ending, regardless of all else. */
static enum topic topic_of_end(enum session_end end)
{
	switch (end) {
	case END_MISCONFIGURED:
		return TOPIC_MISCONFIGURED;
	case END_BAD_PROXY:
		return TOPIC_PROXY;
	case END_PROXY_CHECK:
		return TOPIC_PROXY_CHECK;
	case END_DENIED:
		return TOPIC_DENIED;
	case END_FOREIGN_HTTP:
		return TOPIC_HTTP;
	case END_FOREIGN_TLS:
		return TOPIC_WRONG_PORT;
	case END_TLS_UNUSABLE:
		return TOPIC_TLS_UNUSABLE;
	case END_TLS_INJECTION:
		return TOPIC_INJECTION;
	default:
		return TOPIC_SESSION;
	}
}

enum topic topic_of_session(const struct session *s)
{
	enum topic topic = topic_of_end(s->end);

	if (s->tls_failed)
		return TOPIC_TLS_FAILED;
	if (topic != TOPIC_SESSION)
		return topic;
	if (s->rejected && !s->secured)
		return TOPIC_TLS_REJECTED;
	if (s->tls_unusable)
		return TOPIC_TLS_UNUSABLE;
	return s->tls_fault[0] ? TOPIC_CERTIFICATE : TOPIC_SESSION;
}

/*
 * True when the connection ended in the middle of the content, in contrast to a message
 * that the client gave up by a command.
 */
static bool is_lost(const struct session *s, const struct reply *outcome)
{
	const unsigned content = PHASE_CONTENT | PHASE_CHUNKS | PHASE_CHUNK;

	return !outcome && s->end != END_NONE && s->phase & content;
}

static bool is_fault(const struct reply *r)
{
	return r && reply_is_fault(r);
}

/*
 * A recipient refused for a fault of this host decides the topic, even if the last reply
 * is a different one.
 */
enum topic topic_of_message(const struct session *s, const struct reply *outcome)
{
	if (is_fault(ending_refusal(s, outcome)) || is_fault(s->tx.rcpt_refusal))
		return TOPIC_NOT_DELIVERED;
	if (s->tx.report_fault)
		return TOPIC_NOT_REPORTED;
	if (ending_is_check(s, outcome))
		return TOPIC_CHECKED;
	if (ending_is_refused(s, outcome))
		return TOPIC_REFUSED;
	if (!outcome)
		return is_lost(s, outcome) ? TOPIC_LOST : TOPIC_GIVEN_UP;
	return ending_is_delivered(outcome) ? TOPIC_DELIVERED : TOPIC_DISCARDED;
}

enum topic topic_of_login(const struct reply *outcome)
{
	if (outcome == reply_get(REPLY_AUTH_FAILED))
		return TOPIC_LOGIN_FAILED;
	return is_fault(outcome) ? TOPIC_LOGIN_UNAVAILABLE : TOPIC_LOGIN_REFUSED;
}

const char *session_status(const struct session *s)
{
	return topic_get(topic_of_session(s))->status;
}

static const char *state(const struct session *s)
{
	switch (s->phase) {
	case PHASE_CONTENT:
	case PHASE_CHUNK:
	case PHASE_CHUNKS:
		return "Receiving a message";
	case PHASE_MAIL:
	case PHASE_RESULTS:
		return "In a transaction";
	case PHASE_AUTH:
		return "Logging in";
	case PHASE_ENDED:
		return session_status(s) ? session_status(s) : "Ended";
	default:
		return "Connected";
	}
}

void session_put_state(const struct session *s, struct buf *to)
{
	buf_put_str(to, state(s));
	buf_put(to, SPAN(": "));
	buf_put_str(to, s->peer.address[0] ? s->peer.address : "unknown");
	if (s->helo[0]) {
		buf_put(to, SPAN(" ("));
		text_escape(to, span_of(s->helo), HELO_SHOWN_MAX);
		buf_put_char(to, ')');
	}
	if (s->secured) {
		buf_put(to, SPAN(", "));
		buf_put_str(to, s->tls.version);
	}
	if (s->n_messages) {
		buf_put(to, SPAN(", "));
		buf_put_num(to, s->n_messages);
		buf_put_str(to,
			s->n_messages > 1 ? " messages delivered" : " message delivered");
	}
}
