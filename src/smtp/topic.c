/*
 * Promises one topic for whatever happened: the first of those that fit. Refuses to explain: the catalog does
 * (units/postern.catalog), by the same numbers, which therefore never change.
 */
#include "smtp/topic.h"
#include "smtp/session.h"

static const struct topic_row rows[TOPICS] = {
	[TOPIC_DELIVERED] = { "d678dd2a0eaa4938981a50de265d1e50", RECORD_LEVEL_INFO,
		NULL },
	[TOPIC_REFUSED] = { "f70360b90c8cef08df7704041a5cf865", RECORD_LEVEL_INFO, NULL },
	[TOPIC_CHECKED] = { "882c83410e5e4528a6c088150bdc0fad", RECORD_LEVEL_INFO, NULL },
	[TOPIC_GIVEN_UP] = { "029dbe64acdc14546f5577a8c435694d", RECORD_LEVEL_INFO,
		NULL },
	[TOPIC_LOST] = { "64ea8487de06042c09184436bc02c5c8", RECORD_LEVEL_WARNING,
		"Connection Lost (SMTP Receive)" },
	[TOPIC_NOT_DELIVERED] = { "6040cd4bde761caf7c04716f3081c766",
		RECORD_LEVEL_WARNING, "Delivery Error (SMTP Receive)" },
	[TOPIC_NOT_REPORTED] = { "36708eaabd9fe70821b670c9f2c7dd83", RECORD_LEVEL_WARNING,
		"Report Error (DSN)" },

	[TOPIC_SESSION] = { "050805126545c3e6ae5780e4b2d95b49", RECORD_LEVEL_INFO, NULL },
	[TOPIC_DENIED] = { "a5580e397217b0d760dcd3520a123a22", RECORD_LEVEL_INFO, NULL },
	[TOPIC_HTTP] = { "c7eec02105b1c637ec6aa33c91799bee", RECORD_LEVEL_INFO, NULL },
	[TOPIC_TLS_FAILED] = { "59909d301a2616974e2ad22bdf63bd86", RECORD_LEVEL_WARNING,
		"SSL Error (SMTP Receive)" },
	[TOPIC_TLS_REJECTED] = { "7c3f59d4ab5a18a72b7da80006c5d939", RECORD_LEVEL_WARNING,
		"SSL Error (SMTP RX Reject)" },
	[TOPIC_TLS_UNUSABLE] = { "1d55143a935e2d7516667fd8072cb7cc", RECORD_LEVEL_WARNING,
		"Certificate Error (SMTP Receive)" },
	[TOPIC_CERTIFICATE] = { "52c06667987f6c3b9c13c24addaa18a5", RECORD_LEVEL_WARNING,
		NULL },
	[TOPIC_INJECTION] = { "22dfb1c740f90b8396fdf22a97db59d5", RECORD_LEVEL_WARNING,
		"SSL Error (Injected Commands)" },
	[TOPIC_WRONG_PORT] = { "d817fb5343d624b5b7fa2828260d4558", RECORD_LEVEL_WARNING,
		"SSL Error (Wrong Port)" },
	[TOPIC_PROXY] = { "0b8ba5f754eb969dc2cae8f25c642671", RECORD_LEVEL_WARNING,
		"Proxy Error (SMTP Receive)" },
	[TOPIC_PROXY_CHECK] = { "7a0d6be2f3c9415c8d1e64b29f5708ce", RECORD_LEVEL_DEBUG,
		NULL },
	[TOPIC_MISCONFIGURED] = { "a355e2bf653956b45958eee54f9354df", RECORD_LEVEL_ERROR,
		"Settings Error (SMTP Receive)" },

	[TOPIC_LOGIN_FAILED] = { "38675a5206700775a36c8fa5df11fad9", RECORD_LEVEL_WARNING,
		NULL },
	[TOPIC_LOGIN_UNAVAILABLE] = { "9309b94206840aeefd0e6fa37c0d92b3",
		RECORD_LEVEL_WARNING, NULL },
	[TOPIC_LOGIN_REFUSED] = { "52835afdda2c9d84cf737aa3b4889382", RECORD_LEVEL_INFO,
		NULL },

	[TOPIC_ERROR] = { "08d7c91daeb00ad991a6ff282eca9d46", RECORD_LEVEL_ERROR, NULL },
};

const struct topic_row *topic_get(enum topic topic)
{
	return &rows[topic];
}

/* Where nothing else is the matter. */
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

static enum topic topic_of_session(const struct session *s)
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

/* Nobody gave a message up whose connection ended in the middle of its content. */
static bool is_lost(const struct session *s)
{
	const unsigned content = PHASE_CONTENT | PHASE_CHUNKS | PHASE_CHUNK;

	return !s->outcome && s->end != END_NONE && s->phase & content;
}

static bool is_fault(const struct reply *r)
{
	return r && reply_is_fault(r);
}

/* Some recipient, at least, was refused for a fault of this host, which the last reply need not show. */
static enum topic topic_of_message(const struct session *s)
{
	if (is_fault(record_refusal(s)) || is_fault(s->tx.rcpt_refusal))
		return TOPIC_NOT_DELIVERED;
	if (s->tx.report_fault)
		return TOPIC_NOT_REPORTED;
	if (record_is_check(s))
		return TOPIC_CHECKED;
	if (record_is_refused(s))
		return TOPIC_REFUSED;
	if (!s->outcome)
		return is_lost(s) ? TOPIC_LOST : TOPIC_GIVEN_UP;
	return TOPIC_DELIVERED;
}

static enum topic topic_of_login(const struct session *s)
{
	if (s->outcome == reply_get(REPLY_AUTH_FAILED))
		return TOPIC_LOGIN_FAILED;
	return is_fault(s->outcome) ? TOPIC_LOGIN_UNAVAILABLE : TOPIC_LOGIN_REFUSED;
}

enum topic topic_of(const struct session *s, enum record_event event)
{
	if (event == RECORD_AUTH)
		return topic_of_login(s);
	return event == RECORD_SESSION ? topic_of_session(s) : topic_of_message(s);
}
