/*
 * What a record is about: one row for each thing that an administrator may want to know apart from others,
 * with its number in the journal's catalog, its weight, and the words of the panel.
 */
#pragma once

#include "smtp/record-fields.h"

#define TOPIC_ID_LENGTH 32 /* hexadecimal digits */

enum topic {
	/* a message */
	TOPIC_DELIVERED,
	TOPIC_REFUSED, /* for what it is, or where it should go */
	TOPIC_CHECKED, /* addresses alone, and they were accepted */
	TOPIC_GIVEN_UP, /* by the client, before its content */
	TOPIC_LOST, /* the connection ended in the middle of its content */
	TOPIC_NOT_DELIVERED, /* this host could not, to some recipient at least */
	TOPIC_NOT_REPORTED, /* delivered, but the report may be lost */

	/* a session */
	TOPIC_SESSION, /* nothing more to say */
	TOPIC_DENIED,
	TOPIC_HTTP,
	TOPIC_TLS_FAILED,
	TOPIC_TLS_REJECTED,
	TOPIC_TLS_UNUSABLE, /* for want of a certificate of ours */
	TOPIC_CERTIFICATE, /* something is wrong with it, and it was used all the same */
	TOPIC_INJECTION,
	TOPIC_WRONG_PORT, /* TLS where SMTP begins in the clear */
	TOPIC_PROXY,
	TOPIC_PROXY_CHECK, /* a proxy has looked whether there is a connection */
	TOPIC_MISCONFIGURED,

	/* an attempt to log in */
	TOPIC_LOGIN_FAILED, /* user or proof was wrong */
	TOPIC_LOGIN_UNAVAILABLE, /* this host could not tell */
	TOPIC_LOGIN_REFUSED, /* not understood, or cancelled */

	TOPIC_ERROR, /* an event of the program's */
	TOPICS,
};

/* syslog(3) has the same numbers. */
enum record_level {
	RECORD_LEVEL_ERROR = 3,
	RECORD_LEVEL_WARNING = 4,
	RECORD_LEVEL_INFO = 6,
	RECORD_LEVEL_DEBUG = 7,
};

struct topic_row {
	char id[TOPIC_ID_LENGTH + 1]; /* MESSAGE_ID= */
	enum record_level level;
	const char *status; /* the panel's status line; NULL: there is nothing to say */
};

const struct topic_row *topic_get(enum topic topic);

struct session;

/* Of the session, or of its transaction: as it ends. */
enum topic topic_of(const struct session *s, enum record_event event);
