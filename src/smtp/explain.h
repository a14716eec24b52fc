/* SPDX-License-Identifier: ISC */
/*
 * The cause of a failed session, one of a fixed list and found from facts alone, and a
 * sentence about it for administrators; and sentences about the decisions of filters.
 * postern(8) has the remedy of each cause.
 */
#pragma once

#include "smtp/state.h"

#define EXPLANATION_MAX 240 /* octets; longer texts end in "..." */

/*
 * Appends a sentence, in printable ASCII without `"` and `\` except in \xHH; nothing
 * without a cause. It names the side to change: a key of postern.conf(5) in parentheses,
 * or the client.
 */
void explain(const struct session *s, const struct tls_failure *failure, struct buf *to);

/* The same of the open transaction, which ends so: what filters did; there are some. */
void explain_message(
	const struct session *s, const struct reply *outcome, struct buf *to);

/* The same of a session with filters, if they took long. */
void explain_slow(const struct session *s, struct buf *to);

enum cause {
	CAUSE_NONE, /* nothing to explain */

	/* in the clear */
	CAUSE_FOREIGN_TLS, /* a ClientHello where SMTP begins */
	CAUSE_FOREIGN_TLS_OFF, /* a ClientHello in the clear, with `tls = off` */
	CAUSE_FOREIGN_TLS_INSIDE, /* a second ClientHello, inside TLS */
	CAUSE_FOREIGN_HTTP,
	CAUSE_REJECTED, /* continued in the clear where TLS is required */
	CAUSE_INJECTION, /* input after STARTTLS, before its reply */
	CAUSE_UNUSABLE, /* this host's certificate or key */

	/* no TLS where it should begin */
	CAUSE_HTTP,
	CAUSE_CLEAR, /* after STARTTLS */
	CAUSE_CLEAR_IMPLICIT,
	CAUSE_NOT_TLS,
	CAUSE_EARLY_ALERT,

	/* nothing in common */
	CAUSE_OLD_VERSION,
	CAUSE_OTHER_VERSION,
	CAUSE_FALLBACK,
	CAUSE_SUITE,
	CAUSE_EXCHANGE, /* only key exchange by RSA, and a key agent has the key */
	CAUSE_ANONYMOUS, /* only suites without a certificate */
	CAUSE_NO_SUITE, /* no suite of the version that both allow */
	CAUSE_KEY,
	CAUSE_OWN_SUITES, /* tls-priority has none for this host's keys */
	CAUSE_GROUP,
	CAUSE_FINITE,
	CAUSE_OWN_FINITE, /* tls-priority has nothing else */
	CAUSE_SIGNATURE,
	CAUSE_NO_SIGNATURE, /* none that the version has */
	CAUSE_OWN_SIGNATURES, /* tls-priority has none that this host's keys can make */
	CAUSE_PROTOCOL,
	CAUSE_NAME,
	CAUSE_NOTHING_COMMON,
	CAUSE_MALFORMED,

	/* the client ended the handshake */
	CAUSE_CERTIFICATE,
	CAUSE_VERSION_REFUSED,
	/* the client sent no groups, and did not accept this host's choice */
	CAUSE_NO_GROUPS,
	CAUSE_ALERT,
	CAUSE_SILENT, /* closed without any input */
	CAUSE_SILENT_STARTTLS,
	CAUSE_CLOSED_HELLO,
	CAUSE_CLOSED_ANSWERED,
	CAUSE_CLOSED,
	CAUSE_LEFT, /* after a good handshake */
	CAUSE_LEFT_KNOWN, /* the same, with a possible reason in the certificate */

	/* neither side ended it */
	CAUSE_LATE, /* no input */
	CAUSE_LATE_IMPLICIT,
	CAUSE_LATE_HELLO,
	CAUSE_LATE_ANSWERED,
	CAUSE_LATE_MIDDLE,
	CAUSE_STOPPED,
	CAUSE_BROKEN,

	CAUSE_COUNT
};

/*
 * A client's possible reason to reject the certificate or the certificates sent with it.
 */
enum dislike {
	DISLIKE_NOTHING, /* no reason known */
	DISLIKE_CURVE, /* no group of the client */
	DISLIKE_EXPIRED,
	DISLIKE_EARLY,
	DISLIKE_ISSUER_EXPIRED,
	DISLIKE_ISSUER_EARLY,
	DISLIKE_MISNAMED,
	DISLIKE_SELF_SIGNED,
	DISLIKE_ALONE, /* sent without its issuer's certificate */
	DISLIKE_CLOCK, /* the client reports it as expired, and it is valid */
	DISLIKE_TICKETS,

	DISLIKE_COUNT
};

/* Returns the first cause of a session that has ended. */
enum cause cause_of(const struct session *s, const struct tls_failure *failure);

/* Returns the most likely reason. */
enum dislike cause_dislike(const struct tls_failure *f);

/* Returns the cause by the two lists; CAUSE_NOTHING_COMMON when they show no conflict. */
enum cause negotiation_cause(const struct tls_failure *f);

/*
 * Returns the kinds of keys (enum tls_key) that the client accepts for suites and
 * signatures that both sides allow.
 */
unsigned negotiation_keys(const struct tls_failure *f);

/* Returns the newest version that both sides allow, or 0. */
uint16_t negotiation_version(const struct tls_failure *f);

/*
 * Lists the suites of that version that the client offers and this host does not allow.
 */
void negotiation_suites(const struct tls_failure *f, struct tls_list *ret);

/* Lists the groups in `from` that the common suites can use. */
void negotiation_groups(
	const struct tls_failure *f, const struct tls_list *from, struct tls_list *ret);

/* Lists the signatures that this host allows and can make for a common suite. */
void negotiation_signatures(const struct tls_failure *f, struct tls_list *ret);
