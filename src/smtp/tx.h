/*
 * One mail transaction, from MAIL to its end (RFC 5321 3.3), and the stages that it
 * passes. struct tx is all of it, and tx_clear() is the only way to forget it.
 *
 * A stage decides on a transaction: policy first, delivery last. Each hook returns NULL,
 * or the reply that refuses; a refusal stops the walk. A hook may be absent. Where `mail`
 * returns REPLY_MISCONFIGURED the session ends.
 */
#pragma once

#include <stdint.h>
#include "proto/address.h"
#include "proto/data.h"
#include "proto/reply.h"

#define TX_ID_MAX 64 /* "time.M<usec>P<pid>Q<n>" */
#define TX_FILE_MAX 256 /* NAME_MAX and the NUL */
#define TX_REFUSED_MAX 10 /* refused mailboxes that are kept for the record */

/* A point in time, twice: as people tell it, and as durations are measured. */
struct moment {
	int64_t seconds; /* since 1970 */
	uint32_t microseconds;
	uint64_t milliseconds; /* of a clock that never jumps */
};

enum mail_body {
	BODY_UNSPECIFIED,
	BODY_7BIT,
	BODY_8BITMIME,
	BODY_BINARYMIME, /* RFC 3030 3: octets, which are stored as they are */
};

struct mail_params {
	bool has_size;
	uint64_t size; /* octets declared (RFC 1870) */
	enum mail_body body; /* RFC 6152 */
	bool requiretls; /* RFC 8689 */
	bool prdr; /* a reply for each recipient, draft-hall-prdr-00 4.2 */
	bool smtputf8; /* RFC 6531: addresses may be UTF-8 */
	struct span envid; /* ENVID, a valid xtext; empty for none (RFC 3461 4.4) */
};

struct rcpt_params {
	bool report; /* NOTIFY has SUCCESS (RFC 3461 4.1) */
	struct span orcpt; /* ORCPT, valid; empty for none (RFC 3461 4.2) */
	bool utf8; /* octets above 127 may be in ORCPT (RFC 6533 3) */
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
	/* owned; the first of them, as the client wrote them */
	char *refused[TX_REFUSED_MAX];
	size_t n_refused_kept;
	/*
	 * Of the sender; or of a recipient before the content: the last one for a fault
	 * of this host, or else the last; or NULL
	 */
	const struct reply *rcpt_refusal;
	char rcpt_reason[REPLY_LINE_MAX]; /* it, as it was sent */
	/* of the content, or behind it of a recipient, the last; or NULL */
	const struct reply *refusal;
	/*
	 * of this host, where it refused the sender or a recipient without a stage; the
	 * caller's. NULL: none
	 */
	const char *fault;
	bool lenient; /* a syntax error was forgiven */
	uint64_t octets; /* of content so far */
	bool bare; /* a bare CR or LF was in the content */
	struct header header;
	char file[TX_FILE_MAX]; /* what the delivering stage called it */
	/*
	 * Of the stage that makes the report, which keeps them until it is cleared; NULL:
	 * none
	 */
	const char *report; /* what it called the file */
	const char *report_fault; /* why there is none, or none for certain */
};

/* Begins a transaction in a cleared `tx`. 0 or -ENOMEM. */
int tx_open(struct tx *tx, const struct path *sender, const struct mail_params *params);

/* Adds a recipient: the one copy that is made of it. 0 or -ENOMEM. */
int tx_add_recipient(struct tx *tx, const struct path *path,
	const struct rcpt_params *params, struct recipient **ret);

/*
 * Puts another local part and another domain in place of those that the mailbox was
 * written with: what stages go by. 0 or -ENOMEM.
 */
int tx_rename_recipient(struct recipient *r, struct span local, struct span domain);

/* Takes back the recipient added last. */
void tx_drop_recipient(struct tx *tx);

/*
 * Keeps the mailbox of a recipient that is refused, if it is one of the first. Without
 * memory it is not kept.
 */
void tx_keep_refused(struct tx *tx, struct span mailbox);

/* A recipient was refused with this reply, which was sent as `said`. */
void tx_note_refusal(struct tx *tx, const struct reply *r, const char *said);

/* The first recipient's refusal, or NULL: SMTP has one reply for all (RFC 5321 4.2.5). */
const struct reply *tx_fold(const struct tx *tx);

/* True when each of the recipients has a refusal of its own. */
bool tx_is_refused(const struct tx *tx);

void tx_clear(struct tx *tx);

struct stage;

struct stage_ops {
	const struct reply *(*mail)(struct stage *st, const struct tx *tx);
	const struct reply *(*rcpt)(
		struct stage *st, const struct tx *tx, struct recipient *r);
	/* The content is about to come; `trace` goes on top of it. */
	const struct reply *(*data)(
		struct stage *st, const struct tx *tx, struct span trace);
	const struct reply *(*body)(
		struct stage *st, const struct tx *tx, struct span text);
	/*
	 * All content is there: do whatever can fail. Both may refuse single recipients
	 * by their reply, commit only with tx->each, as all or nobody gets the message
	 * without. It leaves out who has one already, and never follows a refused
	 * prepare.
	 */
	const struct reply *(*prepare)(struct stage *st, struct tx *tx);
	const struct reply *(*commit)(struct stage *st, struct tx *tx);
	/*
	 * The transaction is over, however it ended: once for each stage, asked or not.
	 */
	void (*clear)(struct stage *st);
};

struct stage {
	const struct stage_ops *ops;
	/*
	 * What is wrong with this host, in a transaction in which something was refused
	 * or left undone for it: such as "/srv/mail/a/new: Permission denied". NULL:
	 * nothing. Kept by the stage until it is cleared.
	 */
	const char *fault;
};

/* The stages of a session, in order. */
struct stages {
	struct stage *const *list;
	size_t n;
};

const struct reply *stages_mail(const struct stages *s, const struct tx *tx);
const struct reply *stages_rcpt(
	const struct stages *s, const struct tx *tx, struct recipient *r);
const struct reply *stages_data(
	const struct stages *s, const struct tx *tx, struct span trace);
const struct reply *stages_body(
	const struct stages *s, const struct tx *tx, struct span text);
/*
 * Every prepare, then every commit. NULL when the message is delivered to all; with
 * `each`, to those who have no reply of their own, at least one.
 */
const struct reply *stages_deliver(const struct stages *s, struct tx *tx, bool each);
/* The first fault of this host that a stage has; NULL: none. */
const char *stages_fault(const struct stages *s);
void stages_clear(const struct stages *s);
