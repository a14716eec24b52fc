/*
 * Records: what is written of a session and of each of its transactions when it ends, and of each
 * failed attempt to log in. Values by their names, filled from the state, never from reply text.
 */
#pragma once

#include "base/buf.h"
#include "smtp/record-tables.h"
#include "smtp/tx.h"

#define RECORD_TEXT_MAX 12288 /* all values of a record together */
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

/* Tells the recorder of the session what has ended: its transaction, an attempt to log in, or the session
 * itself. */
void record_write(struct session *s, enum record_event event);
