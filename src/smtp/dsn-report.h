/*
 * The report of a delivery that succeeded (RFC 3461 6, RFC 3464, RFC 6522): one for all
 * recipients of a transaction whose sender asked for it. postern-outbox depends on the
 * order of its header: To comes first.
 */
#pragma once

#include "proto/dsn.h"
#include "smtp/tx.h"

/*
 * Octets of the message's own header that are returned, in whole lines. Enough for that
 * of nearly all mail, and too little to make a report a means of sending something to a
 * forged sender.
 */
#define REPORT_RETURNED_MAX (8 * 1024)
#define REPORT_ROOM 2048 /* the longest piece that is put together at once */

struct report {
	/* to be set before the first piece */
	const struct tx *tx;
	struct span hostname;
	bool utf8; /* the transaction is SMTPUTF8 (RFC 6533) */
	int64_t time; /* seconds since 1970 */
	struct returned returned;

	size_t part;
	size_t next; /* recipient */
};

/* True when the sender asked for a report, and can be sent one. */
bool report_is_due(const struct tx *tx);

/* How many recipients are in it: those that asked, and whom nothing was refused. */
size_t report_count(const struct tx *tx);

/* All of the message was shown to `returned`: begins the report (again). */
void report_begin(struct report *r);

/*
 * Appends what comes next while there is room for REPORT_ROOM octets. False: that was
 * all.
 */
bool report_put(struct report *r, struct buf *to);
