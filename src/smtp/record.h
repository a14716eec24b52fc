/* SPDX-License-Identifier: ISC */
/*
 * Records of sessions, of their transactions when they end, and of failed logins. A
 * record is a list of named values from the state, never from reply text. It is written
 * as a log line or a JSON line.
 */
#pragma once

#include "base/buf.h"
#include "smtp/record-tables.h"
#include "smtp/tx.h"

struct record_value {
	enum record_key key;
	/* printable ASCII without `"` and `\` except in \xHH; never empty */
	struct span value;
};

struct record {
	enum record_event event;
	enum topic topic;
	struct moment when;
	size_t n;
	struct record_value values[RECORD_KEYS];
};

/* The destination of records. The values are valid only during the call. */
struct recorder {
	void (*write)(struct recorder *r, const struct record *record);
};

struct session;
struct tls_failure;

/* Records that the open transaction ends with `outcome`; NULL: it was given up. */
void record_message(struct session *s, const struct reply *outcome);

/* Records that a login has failed with `outcome`; NULL: the session ended before. */
void record_auth(struct session *s, const struct reply *outcome);

/* Records the end of the session; `failure` is the failure of TLS, or NULL. */
void record_session(struct session *s, const struct tls_failure *failure);

/*
 * Octets of the longest text of a record: JSON doubles the backslashes, and names are
 * added.
 */
#define RECORD_LINE_MAX (2 * RECORD_TEXT_MAX + 2048)

/* Appends: event=session end=quit status="SSL Error (SMTP Receive)" ... */
void record_put_line(struct buf *to, const struct record *r);

/*
 * {"time":"2026-12-01T09:08:07.000042Z","event":"session","level":"info","pid":42,...}
 * without a line end. Numbers are JSON numbers, flags true, several recipients an array,
 * and paths have no brackets.
 */
void record_put_json(struct buf *to, const struct record *r, uint64_t pid);

/* Returns "error", "warning" or "info". */
const char *record_level_word(enum record_level level);
