/*
 * What a client offers in its ClientHello, as text for the record of a handshake that
 * failed.
 */
#pragma once

#include "base/buf.h"

/*
 * Appends versions and then cipher suites in the client's order, "TLS1.3 TLS1.2 0x1301
 * 0xc02f", as many as fit. `hello` is the message without its handshake header (RFC
 * 8446 4.1.2, RFC 5246 7.4.1.2); of a malformed one what comes before the fault.
 */
void offer_describe(struct span hello, struct buf *to);
