/* SPDX-License-Identifier: ISC */
/*
 * The cause of a failed session, from a list and found from facts alone, and a sentence
 * on it for administrators; and sentences on what filters did. postern(8) has the remedy
 * of each cause.
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

/* The same of the open transaction, which ends so: what filters did with it. */
void explain_message(
	const struct session *s, const struct reply *outcome, struct buf *to);

/* The same of a session for which filters took long. */
void explain_slow(const struct session *s, struct buf *to);

enum cause {
	CAUSE_NONE, /* nothing to explain */

	/* in the clear */
	CAUSE_FOREIGN_TLS, /* a ClientHello where SMTP begins */
	CAUSE_FOREIGN_TLS_OFF, /* the same, with `tls = off` */
	CAUSE_FOREIGN_TLS_INSIDE, /* the same, inside TLS */
	CAUSE_FOREIGN_HTTP,
	CAUSE_REJECTED, /* continued in the clear where TLS is required */
	CAUSE_INJECTION, /* input after STARTTLS in the same piece */
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

	/* the client ended it */
	CAUSE_CERTIFICATE,
	CAUSE_VERSION_REFUSED,
	CAUSE_NO_GROUPS, /* it named none, and did not accept this host's choice */
	CAUSE_ALERT,
	CAUSE_SILENT, /* closed without any input */
	CAUSE_SILENT_STARTTLS,
	CAUSE_CLOSED_HELLO,
	CAUSE_CLOSED_ANSWERED,
	CAUSE_CLOSED,
	CAUSE_LEFT, /* after a good handshake */
	CAUSE_LEFT_KNOWN, /* the same, with facts of the certificate */

	/* neither side ended it */
	CAUSE_LATE, /* nothing came */
	CAUSE_LATE_IMPLICIT,
	CAUSE_LATE_HELLO,
	CAUSE_LATE_ANSWERED,
	CAUSE_LATE_MIDDLE,
	CAUSE_STOPPED,
	CAUSE_BROKEN,

	CAUSE_COUNT
};

/* A client's possible reason to reject the certificate, or what comes with it. */
enum dislike {
	DISLIKE_NOTHING, /* none known */
	DISLIKE_CURVE, /* no group of the client */
	DISLIKE_EXPIRED,
	DISLIKE_EARLY,
	DISLIKE_ISSUER_EXPIRED,
	DISLIKE_ISSUER_EARLY,
	DISLIKE_MISNAMED,
	DISLIKE_SELF_SIGNED,
	DISLIKE_ALONE, /* without its issuer */
	DISLIKE_CLOCK, /* the client reports it as expired, and it is valid */
	DISLIKE_TICKETS,

	DISLIKE_COUNT
};

/* The first cause of a session that has ended. */
enum cause cause_of(const struct session *s, const struct tls_failure *failure);

/* The most likely reason. */
enum dislike cause_dislike(const struct tls_failure *f);

/* CAUSE_NOTHING_COMMON when the lists show no conflict. */
enum cause negotiation_cause(const struct tls_failure *f);

/* The kinds of keys (enum tls_key) that the client accepts, in what both allow. */
unsigned negotiation_keys(const struct tls_failure *f);

/* The newest version that both allow, or 0. */
uint16_t negotiation_version(const struct tls_failure *f);

/* The suites of that version that the client offers and this host does not allow. */
void negotiation_suites(const struct tls_failure *f, struct tls_list *ret);

/* The groups in `from` that the common suites can use. */
void negotiation_groups(
	const struct tls_failure *f, const struct tls_list *from, struct tls_list *ret);

/* The signatures that this host allows and can make for a common suite. */
void negotiation_signatures(const struct tls_failure *f, struct tls_list *ret);
