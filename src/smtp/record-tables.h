/* SPDX-License-Identifier: ISC */
/*
 * The tables of records: the names of events, fields and topics, for the programs that
 * write and read records, and for the manual.
 *
 * A topic is the subject of a record: one row for each kind that an administrator may
 * want to filter, with its number in the journal's catalog, its level, and the words of
 * the panel.
 */
#pragma once

#include "base/span.h"

#define RECORD_TEXT_MAX 13312 /* octets of all values of a record */
/* octets of a list of recipients; a longer list ends in "..." */
#define RECORD_LIST_MAX 4096
#define RECORD_VALUE_MAX 256 /* octets of a word of a peer, escaped */

/* octets of a path of this host and its fault, escaped */
#define RECORD_FAULT_MAX 1024

enum record_event {
	RECORD_MESSAGE, /* a transaction has ended */
	RECORD_SESSION,
	RECORD_AUTH, /* a failed login */
	RECORD_PIPE, /* a run of postern-pipe for one message */
	RECORD_ERROR, /* a sentence of the program, without a session */
	RECORD_EVENTS,
};

enum record_kind {
	RECORD_TEXT,
	RECORD_NUMBER,
	RECORD_FLAG, /* "yes", or absent */
	RECORD_PATH, /* "<user@example.net>", "<>" */
	/* several paths, separated by ","; a list that is cut ends in "..." */
	RECORD_PATHS,
	RECORD_TEXTS, /* several texts, separated by "|", which is \x7C in them */
};

/* The fields, in the order in which records have them. */
enum record_key {
	RECORD_ID,
	RECORD_OUTCOME,
	RECORD_END,
	RECORD_STATUS,
	RECORD_EXPLANATION,
	RECORD_PEER,
	RECORD_PORT,
	RECORD_PEER_NAME,
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
	RECORD_REFUSED_REPLIES,
	RECORD_SIZE,
	RECORD_BODY,
	RECORD_REQUIRETLS,
	RECORD_SMTPUTF8,
	RECORD_MESSAGE_ID,
	RECORD_FILE,
	RECORD_MAILBOX,
	RECORD_PROGRAM,
	RECORD_TRIES,
	RECORD_WAITING,
	RECORD_REPORT,
	RECORD_REPORT_FAULT,
	RECORD_FILTERS,
	RECORD_FILTERS_TIME,
	RECORD_QUARANTINE,
	RECORD_REASON,
	RECORD_EARLY,
	RECORD_LENIENT,
	RECORD_SANDBOX,
	RECORD_DURATION,
	RECORD_SENTENCE,
	/* added by the receiver of records of several hosts */
	RECORD_HOST,
	RECORD_KEYS,
};

struct record_field {
	const char *name; /* lower case and "_" */
	enum record_kind kind;
};

const struct record_field *record_field(enum record_key key);

/* Returns the key of that name, or RECORD_KEYS. */
enum record_key record_key_find(struct span name);

/* Returns the word of an event: "message". */
const char *record_event_word(enum record_event event);

/* Returns the event of that word, or RECORD_EVENTS. */
enum record_event record_event_find(struct span word);

#define TOPIC_ID_LENGTH 32 /* hexadecimal digits */

enum topic {
	/* a message */
	TOPIC_DELIVERED,
	TOPIC_REFUSED, /* refused for its content or destination */
	TOPIC_DISCARDED, /* accepted and dropped, because a filter decided so */
	TOPIC_CHECKED, /* addresses only, and they were accepted */
	TOPIC_GIVEN_UP, /* by the client, before its content */
	TOPIC_LOST, /* the connection ended in the middle of its content */
	/* not delivered to at least one recipient, for a fault of this host */
	TOPIC_NOT_DELIVERED,
	TOPIC_NOT_REPORTED, /* delivered, but the report may be lost */

	/* a session */
	TOPIC_SESSION, /* without a special event */
	TOPIC_DENIED,
	TOPIC_HTTP,
	TOPIC_TLS_FAILED,
	TOPIC_TLS_REJECTED,
	TOPIC_TLS_UNUSABLE, /* without a usable certificate */
	TOPIC_CERTIFICATE, /* the certificate has a fault, but was used */
	TOPIC_INJECTION,
	TOPIC_WRONG_PORT, /* TLS where SMTP begins in the clear */
	TOPIC_PROXY,
	TOPIC_PROXY_CHECK, /* a proxy's health check */
	TOPIC_MISCONFIGURED,

	/* a login */
	TOPIC_LOGIN_FAILED, /* user or proof was wrong */
	TOPIC_LOGIN_UNAVAILABLE, /* this host could not check */
	TOPIC_LOGIN_REFUSED, /* a bad request, or cancelled */

	/* a run of postern-pipe for one message */
	TOPIC_PIPE_DONE,
	TOPIC_PIPE_LATER, /* the run failed, and will be repeated */
	TOPIC_PIPE_FAILED,

	TOPIC_ERROR, /* an event of the program */
	TOPICS,
};

/* The levels, with the numbers of syslog(3). */
enum record_level {
	RECORD_LEVEL_ERROR = 3,
	RECORD_LEVEL_WARNING = 4,
	RECORD_LEVEL_INFO = 6,
	RECORD_LEVEL_DEBUG = 7,
};

struct topic_row {
	char id[TOPIC_ID_LENGTH + 1]; /* MESSAGE_ID= */
	enum record_level level;
	const char *status; /* the panel's status line; NULL: none */
};

const struct topic_row *topic_get(enum topic topic);
