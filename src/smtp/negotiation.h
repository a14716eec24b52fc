/* Why a ClientHello and our own terms have no TLS session in common. */
#pragma once

#include "smtp/cause.h"

/* CAUSE_NOTHING_COMMON when there seems to be one. */
enum cause negotiation_cause(const struct tls_failure *f);

/* The kinds of keys (enum tls_key) that the client asks for, of what both allow. */
unsigned negotiation_keys(const struct tls_failure *f);

/* The newest version that both allow, or 0. */
uint16_t negotiation_version(const struct tls_failure *f);

/* The suites of that version that the client offers and this host does not allow. */
void negotiation_suites(const struct tls_failure *f, struct tls_list *ret);
