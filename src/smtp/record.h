/*
 * Records: what is written of a session and of each of its transactions when it ends, and
 * of each failed attempt to log in. Values by their names, filled from the state, never
 * from reply text.
 */
#pragma once

#include "base/buf.h"
#include "smtp/record-tables.h"
#include "smtp/tx.h"

/* the recipients of a message; what is longer ends in "..." */
#define RECORD_LIST_MAX 4096
#define RECORD_VALUE_MAX 256 /* one word of a stranger, escaped */

/* a path of this host's and what is wrong with it, escaped */
#define RECORD_FAULT_MAX 1024

struct record_value {
	enum record_key key;
	/* printable ASCII without `"` and `\` but for \xHH; never empty */
	struct span value;
};

struct record {
	enum record_event event;
	enum topic topic;
	struct moment when;
	size_t n;
	struct record_value values[RECORD_KEYS];
};

/* Where records go. The values live only during the call. */
struct recorder {
	void (*write)(struct recorder *r, const struct record *record);
};

struct session;
struct tls_failure;

/* The open transaction ends with `outcome`; NULL: it was given up. */
void record_message(struct session *s, const struct reply *outcome);

/* An attempt to log in has failed with `outcome`; NULL: the session ended before. */
void record_auth(struct session *s, const struct reply *outcome);

/* The session has ended; `failure` is why there is no TLS, or none any more, or NULL. */
void record_session(struct session *s, const struct tls_failure *failure);
