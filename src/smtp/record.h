/*
 * What is told of a session and of each of its transactions when it ends: names and
 * values, filled from the state, never from reply text. One table in record.c holds all
 * of them.
 */
#pragma once

#include "base/buf.h"

#define RECORD_VALUES_MAX 40 /* rows of the table */
#define RECORD_TEXT_MAX 12288 /* all values of a record together */
/* the recipients of a message; what is longer ends in "..." */
#define RECORD_LIST_MAX 4096
#define RECORD_VALUE_MAX 256 /* one word of a stranger, escaped */

enum record_event {
	RECORD_MESSAGE = 1,
	RECORD_SESSION = 2,
	RECORD_ERROR = 4, /* not of a session: a sentence of main's */
};

struct record_value {
	const char *name; /* lower case and "_" */
	struct span
		value; /* printable ASCII without `"` and `\` but for \xHH; never empty */
};

struct record {
	enum record_event event;
	bool problem; /* something that an administrator wants to see */
	size_t n;
	struct record_value values[RECORD_VALUES_MAX];
};

/* Where records go. The values live only during the call. */
struct recorder {
	void (*write)(struct recorder *r, const struct record *record);
};

struct session;

/* Tells the recorder of the session what has ended: its transaction, or the session
 * itself. */
void record_write(struct session *s, enum record_event event);
