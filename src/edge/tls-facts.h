/* What GnuTLS knows of a session, as the plain values of smtp/facts.h. */
#pragma once

#include <gnutls/gnutls.h>
#include "smtp/facts.h"

/* After a handshake that succeeded. */
void facts_of_session(gnutls_session_t session, struct tls_facts *ret);
/*
 * After one that failed with GnuTLS's `code`, or because io returned `io_error` (else 0),
 * which says more. ret->offered is already known, or empty.
 */
void facts_of_failure(
	gnutls_session_t session, int code, int io_error, struct tls_facts *ret);
