/* SPDX-License-Identifier: ISC */
/* The recipients of a transaction in its record: accepted ones, refused ones, replies. */
#pragma once

#include "proto/reply.h"
#include "smtp/tx.h"

/*
 * In this header `outcome` is the reply that ended the transaction; NULL: it was given
 * up. An accepted recipient that got its own refusal after the content counts as refused.
 */

/* Appends "<mailbox>", escaped. */
void record_put_path(struct buf *b, struct span mailbox);

/* Appends the accepted recipients; a list of more than RECORD_LIST_MAX octets is cut. */
void record_put_to(struct buf *b, const struct tx *tx, const struct reply *outcome);

size_t record_count_recipients(const struct tx *tx, const struct reply *outcome);

/* Appends the first TX_REFUSED_MAX refused recipients. */
void record_put_refused_to(
	struct buf *b, const struct tx *tx, const struct reply *outcome);

/*
 * Appends the replies to the recipients of record_put_refused_to(), separated by "|".
 * Appends nothing if all of them equal `reason`, the reason of the record.
 */
void record_put_refused_replies(struct buf *b, const struct tx *tx,
	const struct reply *outcome, const char *reason);
