/*
 * The events and the values of records, by their names: one table, for those who write records, for those who
 * read them, and for the manual.
 */
#pragma once

#include "base/span.h"

enum record_event {
	RECORD_MESSAGE, /* a transaction has ended */
	RECORD_SESSION,
	RECORD_AUTH, /* an attempt to log in has come to nothing */
	RECORD_ERROR, /* not of a session: a sentence of the program's */
	RECORD_EVENTS,
};

enum record_kind {
	RECORD_TEXT,
	RECORD_NUMBER,
	RECORD_FLAG, /* "yes", or it is not told */
	RECORD_PATH, /* "<user@example.net>", "<>" */
	/* several paths, divided by ","; behind too many of them stands "..." */
	RECORD_PATHS,
};

/* In the order in which they are told. */
enum record_key {
	RECORD_ID,
	RECORD_OUTCOME,
	RECORD_END,
	RECORD_STATUS,
	RECORD_EXPLANATION,
	RECORD_PEER,
	RECORD_PORT,
	RECORD_PROXY,
	RECORD_SERVICE,
	RECORD_LOCAL_PORT,
	RECORD_HELO,
	RECORD_TLS,
	RECORD_CIPHER,
	RECORD_GROUP,
	RECORD_SNI,
	RECORD_ALPN,
	RECORD_RESUMED,
	RECORD_TLS_CLIENT,
	RECORD_TLS_ERROR,
	RECORD_TLS_ALERT,
	RECORD_TLS_OFFERED,
	RECORD_TLS_ALLOWED,
	RECORD_TLS_FAULT,
	RECORD_DELIVERY_FAULT,
	RECORD_MECHANISM,
	RECORD_USER,
	RECORD_AUTH_FAILURES,
	RECORD_FROM,
	RECORD_TO,
	RECORD_RECIPIENTS,
	RECORD_TRANSACTIONS,
	RECORD_MESSAGES,
	RECORD_REFUSED,
	RECORD_REFUSED_COMMANDS,
	RECORD_REFUSED_TO,
	RECORD_SIZE,
	RECORD_BODY,
	RECORD_REQUIRETLS,
	RECORD_SMTPUTF8,
	RECORD_MESSAGE_ID,
	RECORD_FILE,
	RECORD_REPORT,
	RECORD_REPORT_FAULT,
	RECORD_REASON,
	RECORD_EARLY,
	RECORD_LENIENT,
	RECORD_SANDBOX,
	RECORD_DURATION,
	RECORD_SENTENCE,
	RECORD_HOST, /* put there by the sink, where records of several hosts may come together */
	RECORD_KEYS,
};

struct record_field {
	const char *name; /* lower case and "_" */
	enum record_kind kind;
};

const struct record_field *record_field(enum record_key key);

/* The key of that name, or RECORD_KEYS. */
enum record_key record_key_find(struct span name);

/* "message" */
const char *record_event_word(enum record_event event);

/* The event of that word, or RECORD_EVENTS. */
enum record_event record_event_find(struct span word);
