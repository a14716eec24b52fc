/*
 * Cipher suites: what IANA calls them, and what they need of the server's key and of the
 * groups. Only those that mail clients offer, or that a server with a certificate can be
 * told to take, are known here.
 */
#pragma once

#include "proto/tls-names.h"

/* How a suite agrees on a secret. */
enum tls_exchange {
	TLS_EXCHANGE_UNKNOWN,
	TLS_EXCHANGE_RSA, /* without a group */
	TLS_EXCHANGE_FINITE, /* DH with a group of RFC 7919 */
	TLS_EXCHANGE_CURVE,
	TLS_EXCHANGE_ANONYMOUS, /* without a certificate */
	TLS_EXCHANGE_1_3, /* with any group: TLS 1.3 settles it apart */
};

/* "TLS_AES_128_GCM_SHA256", or "0x1301" of one that is not known. */
void tls_put_suite(struct buf *to, uint16_t code);

/* The kinds of keys that can serve it; 0 when it is not known. */
unsigned tls_suite_keys(uint16_t code);

enum tls_exchange tls_suite_exchange(uint16_t code);
