/* SPDX-License-Identifier: ISC */
/*
 * The report of a successful delivery (RFC 3461 6, RFC 3464, RFC 6522), for all
 * recipients of a transaction that requested one. postern-outbox requires To as its first
 * field.
 */
#pragma once

#include "proto/dsn.h"
#include "smtp/tx.h"

/*
 * Octets of the message's header that are returned, in whole lines: enough for nearly all
 * mail, and too little to send content to a forged sender.
 */
#define REPORT_RETURNED_MAX (8 * 1024)
#define REPORT_ROOM 2048 /* the longest piece that is composed at once */

struct report {
	/* set by the caller before the first piece */
	const struct tx *tx;
	struct span hostname;
	bool utf8; /* the transaction is SMTPUTF8 (RFC 6533) */
	int64_t time; /* seconds since 1970 */
	struct returned returned;

	size_t part;
	size_t next; /* index of the next recipient */
};

/* True when a report was requested and the sender is not <>. */
bool report_is_due(const struct tx *tx);

/*
 * Returns the number of recipients in the report: delivered, and with a report requested.
 */
size_t report_count(const struct tx *tx);

/* Begins the report (again), after `returned` has read the whole message. */
void report_begin(struct report *r);

/* Appends pieces while REPORT_ROOM octets are free. False: the report is complete. */
bool report_put(struct report *r, struct buf *to);
