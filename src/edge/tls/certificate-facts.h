/* Our own certificate, looked at as a client may have looked at it. */
#pragma once

#include <gnutls/gnutls.h>
#include "smtp/facts.h"

/*
 * Of the certificates that the session has to choose from, and of the one that it chose,
 * or would have. `name` is what it should cover; empty: nothing. *ret is zeroed memory.
 */
void shown_certificate(
	gnutls_session_t session, const char *name, struct tls_certificate *ret);
