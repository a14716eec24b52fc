/* The service extensions (RFC 5321 2.2): what EHLO lists, and what may then be used, from one table. */
#pragma once

#include "base/buf.h"

enum extension {
	EXTENSION_PIPELINING, /* RFC 2920 */
	EXTENSION_SIZE, /* RFC 1870 */
	EXTENSION_STARTTLS, /* RFC 3207 */
	EXTENSION_AUTH, /* RFC 4954 */
	EXTENSION_ENHANCEDSTATUSCODES, /* RFC 2034 */
	EXTENSION_CHUNKING, /* RFC 3030 */
	EXTENSION_BINARYMIME, /* RFC 3030 */
	EXTENSION_8BITMIME, /* RFC 6152 */
	EXTENSION_SMTPUTF8, /* RFC 6531; it needs 8BITMIME */
	EXTENSION_DSN, /* RFC 3461 */
	EXTENSION_REQUIRETLS, /* RFC 8689 */
	EXTENSION_PRDR, /* draft-hall-prdr-00, as Exim speaks it */
	EXTENSION_LIMITS, /* RFC 9422 */
	EXTENSION_COUNT,
};

struct session;

/* True when it is listed at this point of the session. */
bool extension_is_offered(const struct session *s, enum extension e);

/* True when it is missing only through a fault of this host. */
bool extension_is_unavailable(const struct session *s, enum extension e);

/* Appends the lines of those that are, each behind an LF. */
void extensions_put(struct buf *to, const struct session *s);
