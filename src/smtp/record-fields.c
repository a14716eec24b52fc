/* Promises a name and a kind for each value; refuses to know where values come from. */
#include "smtp/record-fields.h"

static const struct record_field fields[RECORD_KEYS] = {
	[RECORD_ID] = { "id", RECORD_TEXT },
	[RECORD_OUTCOME] = { "outcome", RECORD_TEXT },
	[RECORD_END] = { "end", RECORD_TEXT },
	[RECORD_STATUS] = { "status", RECORD_TEXT },
	[RECORD_EXPLANATION] = { "explanation", RECORD_TEXT },
	[RECORD_PEER] = { "peer", RECORD_TEXT },
	[RECORD_PORT] = { "port", RECORD_NUMBER },
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
	[RECORD_SIZE] = { "size", RECORD_NUMBER },
	[RECORD_BODY] = { "body", RECORD_TEXT },
	[RECORD_REQUIRETLS] = { "requiretls", RECORD_FLAG },
	[RECORD_SMTPUTF8] = { "smtputf8", RECORD_FLAG },
	[RECORD_MESSAGE_ID] = { "message_id", RECORD_TEXT },
	[RECORD_FILE] = { "file", RECORD_TEXT },
	[RECORD_REPORT] = { "report", RECORD_TEXT },
	[RECORD_REPORT_FAULT] = { "report_fault", RECORD_TEXT },
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
