/* SPDX-License-Identifier: ISC */
/*
 * One mail transaction, from MAIL to its end (RFC 5321 3.3), and its stages. struct tx
 * holds all of its state, and only tx_clear() clears it.
 *
 * A stage is a set of hooks that decide about a transaction: policy first, delivery last.
 * Each hook returns NULL or a refusal, which skips the remaining stages. A hook may be
 * NULL. REPLY_MISCONFIGURED of `mail` ends the session.
 */
#pragma once

#include <stdint.h>
#include "proto/address.h"
#include "proto/data.h"
#include "proto/reply.h"

#define TX_ID_MAX 64 /* "time.M<usec>P<pid>Q<n>" */
#define TX_FILE_MAX 256 /* NAME_MAX and the NUL */
#define TX_REFUSED_MAX 10 /* refused recipients that are kept for the record */
#define TX_REFUSAL_MAX 128 /* octets of each reply; longer ones are cut */

/* A point in time: the wall clock for display, a monotonic one for durations. */
struct moment {
	int64_t seconds; /* seconds since 1970, UTC */
	uint32_t microseconds;
	uint64_t milliseconds; /* milliseconds of the monotonic clock */
};

enum mail_body {
	BODY_UNSPECIFIED,
	BODY_7BIT,
	BODY_8BITMIME,
	BODY_BINARYMIME, /* RFC 3030 3: stored octet by octet */
};

struct mail_params {
	bool has_size;
	uint64_t size; /* octets that the client declared (RFC 1870) */
	enum mail_body body; /* RFC 6152 */
	bool requiretls; /* RFC 8689 */
	bool prdr; /* a reply for each recipient, draft-hall-prdr-00 4.2 */
	bool smtputf8; /* RFC 6531: addresses may be UTF-8 */
	struct span envid; /* ENVID, a valid xtext; empty for none (RFC 3461 4.4) */
	struct span author; /* AUTH, a valid xtext; empty for none (RFC 4954 5) */
};

struct rcpt_params {
	bool report; /* NOTIFY has SUCCESS (RFC 3461 4.1) */
	struct span orcpt; /* ORCPT, valid; empty for none (RFC 3461 4.2) */
	bool utf8; /* ORCPT may have octets above 127 (RFC 6533 3) */
};

struct recipient {
	char *text; /* owned; the three spans point into it */
	struct span mailbox; /* as the client wrote it */
	/* for comparison: names that are not ASCII have the form of names.h */
	struct span local; /* including its quotes, if any */
	struct span domain; /* empty for <postmaster> */
	struct rcpt_params params;
	char *orcpt; /* owned; params.orcpt points into it; NULL: none */
	size_t slot; /* index of its first mailbox in the delivering stage */
	size_t n_slots; /* number of its mailboxes */
	const struct reply *reply; /* the refusal of a stage; NULL: none */
	/* removed by a filter: it gets no mail, but the client gets the usual reply */
	bool left_out;
	bool unfiltered; /* filters are not asked about mail for it */
};

/* A refused recipient: its mailbox as the client wrote it, and its reply. */
struct tx_refusal {
	/* of a reply that records cut, enough to show that it is cut */
	char reply[TX_REFUSAL_MAX + 5];
	char mailbox[];
};

struct tx {
	bool open;
	char id[TX_ID_MAX]; /* unique over all hosts and times */
	struct moment since;
	char *sender; /* owned; empty for <> */
	const char *user; /* the session's logged-in user (RFC 4954), or NULL */
	struct mail_params params;
	/* of MAIL or RCPT, as the client wrote them; for the hooks of the command */
	struct span written_params;
	/* each recipient has a reply of its own, and can be refused separately */
	bool each;
	char *envid; /* owned; params.envid points into it; NULL: none */
	char *author; /* likewise, of params.author */
	struct recipient *recipients;
	size_t n_recipients;
	size_t cap_recipients;
	/*
	 * the last of `recipients`, which filters have added: they get no reply, so a
	 * stage that cannot store the message for one of them stores it for none at all
	 */
	size_t n_added;
	size_t n_refused; /* recipients refused */
	size_t n_deferred; /* temporarily refused ones (4yz), also counted in n_refused */
	/* owned; the first refused recipients */
	struct tx_refusal *refused[TX_REFUSED_MAX];
	size_t n_refused_kept;
	/*
	 * refusal of the sender, or of a recipient before the content: the last one that
	 * is a fault of this host, else the last one; or NULL
	 */
	const struct reply *rcpt_refusal;
	char rcpt_reason[REPLY_LINE_MAX]; /* text of rcpt_refusal, as it was sent */
	/* the last refusal of the content, or of a recipient after it; or NULL */
	const struct reply *refusal;
	/*
	 * fault of this host for which the engine, not a stage, refused the sender or a
	 * recipient; owned by the caller; NULL: none
	 */
	const char *fault;
	bool lenient; /* a syntax error was forgiven */
	uint64_t octets; /* octets of content so far */
	bool bare; /* a bare CR or LF was in the content */
	struct header header;
	char file[TX_FILE_MAX]; /* name of the message's file in the delivering stage */
	/*
	 * set by the stage that writes the report, and valid until the stage is cleared;
	 * NULL: none
	 */
	const char *report; /* name of the report's file */
	const char *report_fault; /* why the report failed, or may be lost */
};

/* Begins a transaction in a cleared `tx`. 0 or -ENOMEM. */
int tx_open(struct tx *tx, const struct path *sender, const struct mail_params *params);

/* Adds a copy of a recipient. 0 or -ENOMEM. */
int tx_add_recipient(struct tx *tx, const struct path *path,
	const struct rcpt_params *params, struct recipient **ret);

/*
 * Replaces the local part and domain that stages compare. The mailbox stays as it was
 * written. 0 or -ENOMEM.
 */
int tx_rename_recipient(struct recipient *r, struct span local, struct span domain);

/* Removes the recipient added last. */
void tx_drop_recipient(struct tx *tx);

/* Returns the first refusal of a recipient that a filter added, or NULL. */
const struct reply *tx_refusal_of_added(const struct tx *tx);

/*
 * Keeps the mailbox of a refused recipient, if it is one of the first TX_REFUSED_MAX and
 * memory is available. The caller then calls tx_note_refusal() with its reply.
 */
void tx_keep_refused(struct tx *tx, struct span mailbox);

/* Counts the refusal of a recipient, whose text was sent as `text`. */
void tx_note_refusal(struct tx *tx, const struct reply *r, const char *text);

/*
 * Returns the refusal of the first recipient, or NULL, because SMTP has one reply for all
 * recipients (RFC 5321 4.2.5).
 */
const struct reply *tx_fold(const struct tx *tx);

/*
 * True when each recipient that is to get the message has a refusal of its own. Nothing
 * is stored then, so those that were left out have no success either.
 */
bool tx_is_refused(const struct tx *tx);

void tx_clear(struct tx *tx);

struct stage;

struct stage_ops {
	const struct reply *(*mail)(struct stage *st, const struct tx *tx);
	const struct reply *(*rcpt)(
		struct stage *st, const struct tx *tx, struct recipient *r);
	/*
	 * Called when a later stage refused the recipient added last: the stage drops its
	 * data for it.
	 */
	void (*drop)(struct stage *st, struct recipient *r);
	/* Called before the content; `trace` has the trace header, which precedes it. */
	const struct reply *(*data)(
		struct stage *st, const struct tx *tx, struct span trace);
	const struct reply *(*body)(
		struct stage *st, const struct tx *tx, struct span text);
	/*
	 * Called after the content. prepare does everything that can fail; commit never
	 * follows a refused prepare. Both may refuse single recipients by setting
	 * recipient.reply. commit may do so only with tx->each, because otherwise either
	 * all or no recipients get the message. commit skips recipients that are already
	 * refused.
	 */
	const struct reply *(*prepare)(struct stage *st, struct tx *tx);
	const struct reply *(*commit)(struct stage *st, struct tx *tx);
	/*
	 * Called when a recipient was refused, by this stage or anything else. `mailbox`
	 * is as the client wrote it, `text` the reply without its codes.
	 */
	void (*refused)(struct stage *st, const struct tx *tx, struct span mailbox,
		const struct reply *refusal, struct span text);
	/* Called for an unknown command. NULL, or a reply in place of the usual one. */
	const struct reply *(*unknown)(struct stage *st, struct span line);
	/* Called once for each stage when the transaction ends, in any way. */
	void (*clear)(struct stage *st);
};

struct stage {
	const struct stage_ops *ops;
	/*
	 * The fault of this host for which the stage refused or omitted something in this
	 * transaction: "/srv/mail/a/new: Permission denied". NULL: none. Valid until the
	 * stage is cleared.
	 */
	const char *fault;
	/* the fault is none of this host, but why it does not know a recipient */
	bool is_hint;
};

/* The stages of a session, in order. */
struct stages {
	struct stage *const *list;
	size_t n;
};

const struct reply *stages_mail(const struct stages *s, const struct tx *tx);
const struct reply *stages_rcpt(
	const struct stages *s, const struct tx *tx, struct recipient *r);
void stages_refused(const struct stages *s, const struct tx *tx, struct span mailbox,
	const struct reply *refusal, struct span text);
const struct reply *stages_unknown(const struct stages *s, struct span line);
const struct reply *stages_data(
	const struct stages *s, const struct tx *tx, struct span trace);
const struct reply *stages_body(
	const struct stages *s, const struct tx *tx, struct span text);
/*
 * Calls all prepare hooks, then all commit hooks. NULL: the message was delivered to all
 * recipients, or, with `each`, to all those whose reply is NULL, at least one.
 */
const struct reply *stages_deliver(const struct stages *s, struct tx *tx, bool each);
/* Returns the fault of the first stage that has one; NULL: none. A hint is none. */
const char *stages_fault(const struct stages *s);

/* Returns the hint of the first stage that has one; NULL: none. */
const char *stages_hint(const struct stages *s);
void stages_clear(const struct stages *s);
