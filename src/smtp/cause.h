/*
 * What went wrong in a session, as one of a list of causes: told from facts alone, so that
 * each can be told again. Each cause has a sentence in explain.c, and a remedy in
 * postern(8).
 */
#pragma once

#include "smtp/session.h"

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
enum cause cause_of(const struct session *s);

/* The likeliest. */
enum dislike cause_dislike(const struct tls_failure *f);
