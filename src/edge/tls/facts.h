/* What GnuTLS knows of a session, as the plain values of smtp/facts.h. */
#pragma once

#include <gnutls/gnutls.h>
#include "edge/tls/tls.h"

/* After a handshake that succeeded. */
void facts_of_session(gnutls_session_t session, struct tls_facts *ret);
/*
 * After one that failed, or a session that did, with GnuTLS's `code`, or because io
 * returned `io_error` (else 0), which says more: who ended it, by which alert, and how far
 * it had come. ret->opening is already known; its alert counts where GnuTLS saw none.
 */
void facts_of_failure(
	gnutls_session_t session, int code, int io_error, struct tls_failure *ret);

/* Adds what its certificate is worth; NULL: it has shown none. */
void facts_of_client(const struct tls_client *client, struct tls_facts *ret);

/* Not even a session could be made. */
void facts_of_no_memory(struct tls_failure *ret);

/* The server name that the client asked for, when it is plain; else "". */
void facts_of_name(gnutls_session_t session, char ret[FACT_NAME_MAX]);
