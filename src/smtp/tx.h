/*
 * One mail transaction, from MAIL to its end (RFC 5321 3.3). This struct is all of it,
 * and tx_clear() is the only way to forget it.
 */
#pragma once

#include <stdint.h>
#include "proto/address.h"
#include "proto/data.h"
#include "proto/reply.h"
#include "smtp/params.h"

#define TX_ID_MAX 64 /* "time.M<usec>P<pid>Q<n>" */
#define TX_FILE_MAX 256 /* NAME_MAX and the NUL */
#define TX_REFUSED_MAX 10 /* refused mailboxes that are kept for the record */

/* A point in time, twice: as people tell it, and as durations are measured. */
struct moment {
	int64_t seconds; /* since 1970 */
	uint32_t microseconds;
	uint64_t milliseconds; /* of a clock that never jumps */
};

struct recipient {
	char *text; /* owned; the three spans lie in it */
	struct span mailbox; /* as the client wrote it */
	/* as stages compare them: what is not ASCII is in the form of names.h */
	struct span local; /* with its quotes, if it has any */
	struct span domain; /* empty for <postmaster> */
	struct rcpt_params params;
	char *orcpt; /* owned; that of params lies in it. NULL for none */
	size_t slot; /* for the stage that delivers: its own number for the mailbox */
	const struct reply *reply; /* why a stage refused this recipient; NULL: fine */
};

struct tx {
	bool open;
	char id[TX_ID_MAX]; /* unique in space and time */
	struct moment since;
	char *sender; /* owned; empty for <> */
	const char *user; /* who has logged in (RFC 4954), of the session; NULL: nobody */
	struct mail_params params;
	bool each; /* every recipient has a reply of its own: one may be refused alone */
	char *envid; /* owned; that of params lies in it. NULL for none */
	struct recipient *recipients;
	size_t n_recipients;
	size_t cap_recipients;
	size_t n_refused; /* recipients refused */
	size_t n_deferred; /* of these, for now alone (4yz) */
	char *refused
		[TX_REFUSED_MAX]; /* owned; the first of them, as the client wrote them */
	size_t n_refused_kept;
	/*
	 * Of the sender; or of a recipient before the content: the last one for a fault of this host, or else the
	 * last; or NULL
	 */
	const struct reply *rcpt_refusal;
	char rcpt_reason[REPLY_LINE_MAX]; /* it, as it was sent */
	/* of the content, or behind it of a recipient, the last; or NULL */
	const struct reply *refusal;
	/* of this host, where it refused the sender or a recipient without a stage; the caller's. NULL: none */
	const char *fault;
	bool lenient; /* a syntax error was forgiven */
	uint64_t octets; /* of content so far */
	bool bare; /* a bare CR or LF was in the content */
	struct header header;
	char file[TX_FILE_MAX]; /* what the delivering stage called it */
	/* Of the stage that makes the report, which keeps them until it is cleared; NULL: none */
	const char *report; /* what it called the file */
	const char *report_fault; /* why there is none, or none for certain */
};

/* Begins a transaction in a cleared `tx`. 0 or -ENOMEM. */
int tx_open(struct tx *tx, const struct path *sender, const struct mail_params *params);

/* Adds a recipient: the one copy that is made of it. 0 or -ENOMEM. */
int tx_add_recipient(struct tx *tx, const struct path *path,
	const struct rcpt_params *params, struct recipient **ret);

/*
 * Puts another local part and another domain in place of those that the mailbox was written with: what
 * stages go by. 0 or -ENOMEM.
 */
int tx_rename_recipient(struct recipient *r, struct span local, struct span domain);

/* Takes back the recipient added last. */
void tx_drop_recipient(struct tx *tx);

/* Keeps the mailbox of a recipient that is refused, if it is one of the first. Without memory it is not kept. */
void tx_keep_refused(struct tx *tx, struct span mailbox);

/* A recipient was refused with this reply, which was sent as `said`. */
void tx_note_refusal(struct tx *tx, const struct reply *r, const char *said);

/* The first recipient's refusal, or NULL: SMTP has one reply for all (RFC 5321 4.2.5). */
const struct reply *tx_fold(const struct tx *tx);

/* True when each of the recipients has a refusal of its own. */
bool tx_is_refused(const struct tx *tx);

void tx_clear(struct tx *tx);
