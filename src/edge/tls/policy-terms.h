/* What a priority string comes to, as IANA's code points. */
#pragma once

#include <gnutls/gnutls.h>
#include "proto/tls-hello.h"

/*
 * All that it allows a server that has certificates: PSK, SRP and anonymous suites are
 * left out. *ret is zeroed memory.
 */
void allowed_by(gnutls_priority_t priority, struct tls_terms *ret);
