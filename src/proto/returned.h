/*
 * The header of a message, kept while the message passes by, to be returned in a report (RFC 6522 4, RFC
 * 6533 4.3).
 */
#pragma once

#include "base/buf.h"

enum returned_encoding {
	RETURNED_7BIT,
	RETURNED_8BIT, /* UTF-8 */
	RETURNED_QUOTED, /* quoted-printable (RFC 2045 6.7) */
};

struct returned {
	struct buf
		text; /* in memory of the caller's; what does not fit is not returned */
	bool done; /* the header has ended, or the memory has */
	enum returned_encoding encoding; /* once it is sealed */
	size_t at; /* octets written */
	size_t n_line; /* octets of the line being written */
};

/* Shows the next piece of the message, split anywhere. */
void returned_take(struct returned *r, struct span text);

/*
 * All of the header was shown: keeps the whole lines of it that are fields, and chooses an encoding in which
 * any mail system can carry them, and in which no line is `boundary`. 8BIT only with `utf8`.
 */
void returned_seal(struct returned *r, struct span boundary, bool utf8);

/* Begins to write it (again). */
void returned_rewind(struct returned *r);

/* Appends as much as there is room for, at least RETURNED_ROOM octets. True when that was all. */
#define RETURNED_ROOM 8
bool returned_put(struct returned *r, struct buf *to);
