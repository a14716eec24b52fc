/* SPDX-License-Identifier: ISC */
/*
 * The outbox: a Maildir into which postern writes reports and from which postern-outbox
 * sends them.
 *
 *   new/        reports not tried yet
 *   cur/        NAME,T=SECONDS: tried, at that time, and not sent
 *   rejected/   no reports, or not deliverable; for a human to look at
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "base/buf.h"
#include "base/span.h"
#include "proto/address.h"

#define OUTBOX_NAME_SIZE (NAME_MAX + 1)

struct outbox_dirs {
	int top, new_dir, cur_dir, rejected_dir;
};

/*
 * Opens the directory and its parts; makes rejected/. All must belong to the user of the
 * process and not be writable for other users. 0; or -1, and a sentence about the fault
 * in `why`.
 */
int outbox_dirs_open(struct outbox_dirs *o, const char *path, struct buf *why);

/* Locks the directory. 0 or -errno; -EWOULDBLOCK: another process has it. */
int outbox_lock(const struct outbox_dirs *o);

/* False when it was tried less than `wait` seconds before `now`. */
bool outbox_is_due(const char *name, time_t now, time_t wait);

#define OUTBOX_ROUND_MAX 64 /* reports of one round */
/* reports of one source in a round, so that others do not wait long */
#define OUTBOX_TURNS_MAX 8

struct outbox_entry {
	char name[OUTBOX_NAME_SIZE];
	size_t turn; /* number of reports of the same source before it in the round */
};

/*
 * The reports to try next: the first of each source, then the second of each, and so on.
 */
struct outbox_round {
	size_t n;
	struct outbox_entry entries[OUTBOX_ROUND_MAX];
};

/*
 * Adds a report to the round, so that no source waits for many reports of another one. In
 * a full round it replaces one with a later turn, or is left out. `r` begins zeroed.
 */
void outbox_round_add(struct outbox_round *r, const char *name);

/*
 * Moves the report to cur/, under a name with the time `now`, so that the attempt is on
 * disk before it is made. 0 or -errno; -ENOENT: another process took it. The two names
 * may not overlap.
 */
int outbox_claim(const struct outbox_dirs *o, int from, const char *name, time_t now,
	char ret_claimed[static OUTBOX_NAME_SIZE]);

/* Moves a claimed report to rejected/, without overwriting a file. 0 or -errno. */
int outbox_reject(const struct outbox_dirs *o, const char *claimed, time_t now);

/* Removes a claimed report. 0 or -errno. */
int outbox_remove(const struct outbox_dirs *o, const char *claimed);

/* Removes files that are in rejected/ for over `age` seconds. 0 or the last -errno. */
int outbox_forget(const struct outbox_dirs *o, time_t now, time_t age);

/*
 * The format of a report in the outbox, which postern writes and postern-outbox sends. A
 * report is a delivery status notification (RFC 3464, RFC 6522; RFC 6533 for
 * internationalized mail) whose lines end with LF. Its header has:
 *
 *   To: <ADDRESS>                     the first line, unfolded, and the only To field:
 *                                     a mailbox with a domain, never <>, never with a
 *                                     hyphen in front
 *   Auto-Submitted: auto-replied      exactly once (RFC 3834 5)
 *   Content-Type: multipart/report;   exactly once, may be folded; in internationalized
 *     report-type=delivery-status;    mail it is global-delivery-status; no other
 *     boundary="..."                  parameter
 *
 * Other fields may follow, except those with more recipients or requests for mail:
 * Return-Path, Cc, Bcc, Resent-* and a few obsolete ones. An empty line ends the header
 * within REPORT_HEADER_MAX octets. The whole report has at most REPORT_OCTETS_MAX.
 */

/* octets of the header; the required fields are far shorter */
#define REPORT_HEADER_MAX (16 * 1024)
/*
 * octets of a report. A thousand recipients with long ORCPTs take 1 MB; the returned
 * header may be larger.
 */
#define REPORT_OCTETS_MAX (16 * 1024 * 1024)

/*
 * Reads the header of a report: `text` is the message, or its first REPORT_HEADER_MAX
 * octets. Returns NULL when the header has the format above; `*ret_address` is then the
 * mailbox, a part of `text`. Otherwise returns the fault as a part of a sentence.
 */
const char *report_check(struct span text, struct span *ret_address);

/* A report in the outbox. */

struct outbox_report {
	int fd; /* file at its beginning; -1: not open */
	time_t written;
	/* read once, so that later changes of the file do not redirect the report */
	char address[PATH_OCTETS_MAX + 1];
};

/*
 * Opens the file and reads its header. 0; 1: it is not a report, and `*ret_fault` is the
 * fault as a part of a sentence; -errno: it cannot be read now.
 */
int outbox_report_open(
	int dir, const char *name, struct outbox_report *ret, const char **ret_fault);

/* Runs sendmail(8) with one report, and waits. */

/* Seconds; enough for a sendmail that uses SMTP with a slow relay (RFC 5321 4.5.3.2). */
#define OUTBOX_SEND_SECONDS 300

struct outbox_sendmail {
	const char *path; /* absolute */
	uint64_t seconds; /* time limit for one report */
};

enum outbox_sent {
	OUTBOX_SENT,
	OUTBOX_LATER, /* a temporary failure */
	OUTBOX_REFUSED, /* a permanent failure */
};

/*
 * Runs `sendmail -i -f <> -- ADDRESS` with the file on standard input and its output on
 * standard error, and waits for its end. `why` gets a failure as a part of a sentence.
 * The caller has blocked the signals.
 */
enum outbox_sent outbox_send(const struct outbox_sendmail *sendmail, int file,
	const char *address, struct buf *why);

/* Waits until `until`, by job_clock(). True when a signal to end the program arrived. */
bool outbox_wait(uint64_t until);
