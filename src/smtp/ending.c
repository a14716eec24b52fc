/*
 * Promises one word and one reply for each reason why a session ends, and the panel's line where one is
 * due. Refuses to end anything.
 */
#include "smtp/session.h"

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
	[END_AUTH_FAILURES] = { "auth-failures", REPLY_AUTH_FAILURES },
	[END_TRANSACTIONS] = { "transactions", REPLY_COUNT },
	[END_REPORTS] = { "reports", REPLY_COUNT },
	[END_REJECTED] = { "rejected", REPLY_COUNT },
	[END_TLS_FAILED] = { "tls-failed", REPLY_COUNT },
	[END_TLS_UNUSABLE] = { "tls-unusable", REPLY_TLS_UNUSABLE_END },
	[END_TLS_INJECTION] = { "tls-injection", REPLY_COUNT },
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

const char *session_status(const struct session *s)
{
	return topic_get(topic_of(s, RECORD_SESSION))->status;
}
