/*
 * What went wrong with a session: one of a list of causes, told from facts alone, and one
 * sentence for the administrators of this host. postern(8) has the remedy of each cause.
 */
#pragma once

#include "smtp/state.h"

#define EXPLANATION_MAX 240 /* octets; what is longer ends in "..." */

/*
 * Appends a sentence, in printable ASCII without `"` and `\` but for \xHH; nothing when
 * there is nothing to explain. It names whose setting it is: a key of postern.conf(5) in
 * parentheses, or the client.
 */
void explain(const struct session *s, const struct tls_failure *failure, struct buf *to);

enum cause {
	CAUSE_NONE, /* nothing that wants explaining */

	/* in the clear */
	CAUSE_FOREIGN_TLS, /* a ClientHello where SMTP begins */
	CAUSE_FOREIGN_TLS_OFF, /* the same, where there is no TLS at all */
	CAUSE_FOREIGN_TLS_INSIDE, /* the same, inside TLS */
	CAUSE_FOREIGN_HTTP,
	CAUSE_REJECTED, /* went on in the clear where TLS is required */
	CAUSE_INJECTION, /* input behind STARTTLS */
	CAUSE_UNUSABLE, /* our certificate or key */

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
	CAUSE_ANONYMOUS, /* suites without a certificate alone */
	CAUSE_NO_SUITE, /* none of the version that both allow */
	CAUSE_KEY,
	CAUSE_GROUP,
	CAUSE_FINITE,
	CAUSE_SIGNATURE,
	CAUSE_PROTOCOL,
	CAUSE_NAME,
	CAUSE_NOTHING_COMMON,
	CAUSE_MALFORMED,

	/* the client ended it */
	CAUSE_CERTIFICATE,
	CAUSE_ALERT,
	CAUSE_SILENT, /* nothing was ever said */
	CAUSE_SILENT_STARTTLS,
	CAUSE_CLOSED_HELLO,
	CAUSE_CLOSED_ANSWERED,
	CAUSE_CLOSED,
	CAUSE_LEFT, /* after a good handshake */
	CAUSE_LEFT_KNOWN, /* and we know what it may have looked at */

	/* nobody did */
	CAUSE_LATE, /* nothing came */
	CAUSE_LATE_IMPLICIT,
	CAUSE_LATE_HELLO,
	CAUSE_LATE_ANSWERED,
	CAUSE_LATE_MIDDLE,
	CAUSE_STOPPED,
	CAUSE_BROKEN,

	CAUSE_COUNT
};

/* What a client may dislike of our certificate, or of what comes with it. */
enum dislike {
	DISLIKE_NOTHING, /* that we know of */
	DISLIKE_EXPIRED,
	DISLIKE_EARLY,
	DISLIKE_ISSUER_EXPIRED,
	DISLIKE_ISSUER_EARLY,
	DISLIKE_MISNAMED,
	DISLIKE_SELF_SIGNED,
	DISLIKE_ALONE, /* without its issuer */
	DISLIKE_CLOCK, /* it says expired, and it is not */
	DISLIKE_TICKETS,

	DISLIKE_COUNT
};

/* The cause that comes first: of a session that has ended. */
enum cause cause_of(const struct session *s, const struct tls_failure *failure);

/* The likeliest. */
enum dislike cause_dislike(const struct tls_failure *f);

/* CAUSE_NOTHING_COMMON when there seems to be one. */
enum cause negotiation_cause(const struct tls_failure *f);

/* The kinds of keys (enum tls_key) that the client asks for, of what both allow. */
unsigned negotiation_keys(const struct tls_failure *f);

/* The newest version that both allow, or 0. */
uint16_t negotiation_version(const struct tls_failure *f);

/* The suites of that version that the client offers and this host does not allow. */
void negotiation_suites(const struct tls_failure *f, struct tls_list *ret);
