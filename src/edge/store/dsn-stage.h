/*
 * The last stage: writes reports of success into the Maildir that dsn-outbox names, from which postern-outbox
 * sends them. It never refuses mail: what keeps it from a report is told in the transaction's record.
 */
#pragma once

#include "edge/store/mailbox.h"
#include "edge/store/message-file.h"
#include "smtp/dsn-report.h"
#include "smtp/tx.h"

#define OUTBOX_PLACE_MAX 32 /* "/proc/self/fd/" and an int */

struct outbox {
	struct stage stage;
	const char *hostname;
	const char *host; /* the same, escaped for a file name */
	const char *peer; /* the client's address as text; empty: unknown */
	const char *path; /* of the directory, as settings name it */
	int root; /* the directory, open */
	char place
		[OUTBOX_PLACE_MAX]; /* its name for the sandbox, whatever becomes of the path */

	/* Of the transaction, while a report is due: */
	bool due;
	int error; /* what went wrong first: -errno; 0: nothing yet */
	char fault[MAILBOX_FAULT_MAX]; /* the same: where, and in words */
	char *memory; /* owned */
	char host_and_source[TX_FILE_MAX]; /* what the file's name has behind the id */
	struct mailbox box;
	struct copy copy;
	struct report report;
	size_t n_told; /* recipients in it */
};

/* All texts stay the caller's; `peer` is read when a report is due. */
void outbox_init(
	struct outbox *o, const char *hostname, const char *host, const char *peer);

/*
 * Opens the Maildir, and makes it, durably, where it is missing: before the sandbox closes. 0, or -errno when
 * no report could be written there; then the stage is not to be used, and o->fault has "PATH: what is wrong".
 */
int outbox_open(struct outbox *o, const char *path);
