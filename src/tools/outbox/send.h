/* sendmail(8), run with one report; and time, which passes between two of them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

#define OUTBOX_SECOND UINT64_C(1000000000) /* of outbox_clock() */

/* Long enough for one that itself speaks SMTP to a slow relay (RFC 5321 4.5.3.2). */
#define OUTBOX_SEND_SECONDS 300

struct outbox_sendmail {
	const char *path; /* absolute */
	uint64_t seconds; /* that it may take for one report */
};

enum outbox_sent {
	OUTBOX_SENT,
	OUTBOX_LATER, /* it failed, and may not fail for ever */
	OUTBOX_REFUSED, /* it will never take that address */
};

/*
 * Runs `sendmail -i -f <> -- ADDRESS` with the file on standard input, its output on our
 * standard error, and waits for its end. What went wrong is put into `why` as a part of a
 * sentence. The signals must be blocked.
 */
enum outbox_sent outbox_send(const struct outbox_sendmail *sendmail, int file,
	const char *address, struct buf *why);

/*
 * Blocks the signals that ask us to end, and SIGCHLD: from now on they are waited for
 * where it suits us.
 */
void outbox_block_signals(void);

/* Waits until then, or for a signal that asks us to end: true. */
bool outbox_wait(uint64_t until);

/* Nanoseconds of the monotonic clock. */
uint64_t outbox_clock(void);
