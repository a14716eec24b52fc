/* SPDX-License-Identifier: ISC */
/*
 * Events, fields and topics of records. The catalog explains each topic
 * (units/postern.catalog) by its number, which therefore never changes.
 */
#include "smtp/record-tables.h"

static const struct record_field fields[RECORD_KEYS] = {
	[RECORD_ID] = { "id", RECORD_TEXT },
	[RECORD_OUTCOME] = { "outcome", RECORD_TEXT },
	[RECORD_END] = { "end", RECORD_TEXT },
	[RECORD_STATUS] = { "status", RECORD_TEXT },
	[RECORD_EXPLANATION] = { "explanation", RECORD_TEXT },
	[RECORD_PEER] = { "peer", RECORD_TEXT },
	[RECORD_PORT] = { "port", RECORD_NUMBER },
	[RECORD_PEER_NAME] = { "peer_name", RECORD_TEXT },
	[RECORD_PROXY] = { "proxy", RECORD_TEXT },
	[RECORD_SERVICE] = { "service", RECORD_TEXT },
	[RECORD_LOCAL_PORT] = { "local_port", RECORD_NUMBER },
	[RECORD_HELO] = { "helo", RECORD_TEXT },
	[RECORD_TLS] = { "tls", RECORD_TEXT },
	[RECORD_CIPHER] = { "cipher", RECORD_TEXT },
	[RECORD_GROUP] = { "group", RECORD_TEXT },
	[RECORD_SNI] = { "sni", RECORD_TEXT },
	[RECORD_ALPN] = { "alpn", RECORD_TEXT },
	[RECORD_RESUMED] = { "resumed", RECORD_FLAG },
	[RECORD_TLS_CLIENT] = { "tls_client", RECORD_TEXT },
	[RECORD_TLS_ERROR] = { "tls_error", RECORD_TEXT },
	[RECORD_TLS_ALERT] = { "tls_alert", RECORD_TEXT },
	[RECORD_TLS_OFFERED] = { "tls_offered", RECORD_TEXT },
	[RECORD_TLS_ALLOWED] = { "tls_allowed", RECORD_TEXT },
	[RECORD_TLS_FAULT] = { "tls_fault", RECORD_TEXT },
	[RECORD_DELIVERY_FAULT] = { "delivery_fault", RECORD_TEXT },
	[RECORD_MECHANISM] = { "mechanism", RECORD_TEXT },
	[RECORD_USER] = { "user", RECORD_TEXT },
	[RECORD_AUTH_FAILURES] = { "auth_failures", RECORD_NUMBER },
	[RECORD_FROM] = { "from", RECORD_PATH },
	[RECORD_TO] = { "to", RECORD_PATHS },
	[RECORD_RECIPIENTS] = { "recipients", RECORD_NUMBER },
	[RECORD_TRANSACTIONS] = { "transactions", RECORD_NUMBER },
	[RECORD_MESSAGES] = { "messages", RECORD_NUMBER },
	[RECORD_REFUSED] = { "refused", RECORD_NUMBER },
	[RECORD_REFUSED_COMMANDS] = { "refused_commands", RECORD_NUMBER },
	[RECORD_REFUSED_TO] = { "refused_to", RECORD_PATHS },
	[RECORD_REFUSED_REPLIES] = { "refused_replies", RECORD_TEXTS },
	[RECORD_SIZE] = { "size", RECORD_NUMBER },
	[RECORD_BODY] = { "body", RECORD_TEXT },
	[RECORD_REQUIRETLS] = { "requiretls", RECORD_FLAG },
	[RECORD_SMTPUTF8] = { "smtputf8", RECORD_FLAG },
	[RECORD_MESSAGE_ID] = { "message_id", RECORD_TEXT },
	[RECORD_FILE] = { "file", RECORD_TEXT },
	[RECORD_MAILBOX] = { "mailbox", RECORD_TEXT },
	[RECORD_PROGRAM] = { "program", RECORD_TEXT },
	[RECORD_TRIES] = { "tries", RECORD_NUMBER },
	[RECORD_WAITING] = { "waiting", RECORD_NUMBER },
	[RECORD_REPORT] = { "report", RECORD_TEXT },
	[RECORD_REPORT_FAULT] = { "report_fault", RECORD_TEXT },
	[RECORD_FILTERS] = { "filters", RECORD_TEXTS },
	[RECORD_FILTERS_TIME] = { "filters_ms", RECORD_NUMBER },
	[RECORD_QUARANTINE] = { "quarantine", RECORD_TEXT },
	[RECORD_REASON] = { "reason", RECORD_TEXT },
	[RECORD_EARLY] = { "early", RECORD_FLAG },
	[RECORD_LENIENT] = { "lenient", RECORD_FLAG },
	[RECORD_SANDBOX] = { "sandbox", RECORD_TEXT },
	[RECORD_DURATION] = { "duration_ms", RECORD_NUMBER },
	[RECORD_SENTENCE] = { "text", RECORD_TEXT },
	[RECORD_HOST] = { "host", RECORD_TEXT },
};

static const char *const events[RECORD_EVENTS] = {
	[RECORD_MESSAGE] = "message",
	[RECORD_SESSION] = "session",
	[RECORD_AUTH] = "auth",
	[RECORD_PIPE] = "pipe",
	[RECORD_ERROR] = "error",
};

const struct record_field *record_field(enum record_key key)
{
	return &fields[key];
}

enum record_key record_key_find(struct span name)
{
	enum record_key key = 0;

	while (key < RECORD_KEYS && !span_eq(name, span_of(fields[key].name)))
		key++;
	return key;
}

const char *record_event_word(enum record_event event)
{
	return events[event];
}

enum record_event record_event_find(struct span word)
{
	enum record_event event = 0;

	while (event < RECORD_EVENTS && !span_eq(word, span_of(events[event])))
		event++;
	return event;
}

static const struct topic_row topics[TOPICS] = {
	[TOPIC_DELIVERED] = { "d678dd2a0eaa4938981a50de265d1e50", RECORD_LEVEL_INFO,
		NULL },
	[TOPIC_REFUSED] = { "f70360b90c8cef08df7704041a5cf865", RECORD_LEVEL_INFO, NULL },
	[TOPIC_DISCARDED] = { "3e9692e3cad5ec352da40bdb05ca1c55", RECORD_LEVEL_INFO,
		NULL },
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

	[TOPIC_PIPE_DONE] = { "cb855f1d48384bfda4faf8780749b354", RECORD_LEVEL_INFO,
		NULL },
	[TOPIC_PIPE_LATER] = { "61f278ceceac433b884e971d584055b0", RECORD_LEVEL_WARNING,
		NULL },
	[TOPIC_PIPE_FAILED] = { "aa70d451380c465db7990bc35f8f3be3", RECORD_LEVEL_WARNING,
		"Program Error (Pipe)" },

	[TOPIC_ERROR] = { "08d7c91daeb00ad991a6ff282eca9d46", RECORD_LEVEL_ERROR, NULL },
};

const struct topic_row *topic_get(enum topic topic)
{
	return &topics[topic];
}
