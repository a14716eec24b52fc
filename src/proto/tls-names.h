/* SPDX-License-Identifier: ISC */
/*
 * What IANA calls the code points of TLS. Only those that mail clients offer have a name
 * here; other code points are written in hex.
 */
#pragma once

#include "base/buf.h"

#define TLS_VERSION_SSL_2 0x0002
#define TLS_VERSION_SSL_3 0x0300
#define TLS_VERSION_1_0 0x0301
#define TLS_VERSION_1_1 0x0302
#define TLS_VERSION_1_2 0x0303
#define TLS_VERSION_1_3 0x0304

/* Kinds of keys, which can be several at once. */
enum tls_key {
	TLS_KEY_RSA = 1,
	TLS_KEY_RSA_PSS = 2, /* for RSASSA-PSS alone (RFC 4055) */
	TLS_KEY_P256 = 4, /* ECDSA by curve, which counts in TLS 1.3 */
	TLS_KEY_P384 = 8,
	TLS_KEY_P521 = 16,
	TLS_KEY_CURVE = 32, /* ECDSA on another curve: not in TLS 1.3 */
	TLS_KEY_ED25519 = 64,
	TLS_KEY_ED448 = 128,

	TLS_KEY_ECDSA = TLS_KEY_P256 | TLS_KEY_P384 | TLS_KEY_P521 | TLS_KEY_CURVE,
	TLS_KEY_EDDSA = TLS_KEY_ED25519 | TLS_KEY_ED448,
	TLS_KEY_ANY = TLS_KEY_RSA | TLS_KEY_RSA_PSS | TLS_KEY_ECDSA | TLS_KEY_EDDSA,
};

/* Alerts that the code compares with (RFC 8446 6). */
enum tls_alert {
	TLS_ALERT_CLOSE_NOTIFY = 0,
	TLS_ALERT_HANDSHAKE_FAILURE = 40,
	TLS_ALERT_BAD_CERTIFICATE = 42,
	TLS_ALERT_UNSUPPORTED_CERTIFICATE = 43,
	TLS_ALERT_CERTIFICATE_REVOKED = 44,
	TLS_ALERT_CERTIFICATE_EXPIRED = 45,
	TLS_ALERT_CERTIFICATE_UNKNOWN = 46,
	TLS_ALERT_ILLEGAL_PARAMETER = 47,
	TLS_ALERT_UNKNOWN_CA = 48,
	TLS_ALERT_ACCESS_DENIED = 49,
	TLS_ALERT_PROTOCOL_VERSION = 70,
	TLS_ALERT_INAPPROPRIATE_FALLBACK = 86,
	TLS_ALERT_USER_CANCELED = 90,
	TLS_ALERT_NO_APPLICATION_PROTOCOL = 120,
};

/* "TLS1.3", as the record has it. */
void tls_put_version(struct buf *to, uint16_t code);
/* "TLS 1.3", for sentences. */
void tls_put_version_text(struct buf *to, uint16_t code);
/* "x25519" */
void tls_put_group(struct buf *to, uint16_t code);
/* "ecdsa_secp256r1_sha256" */
void tls_put_signature(struct buf *to, uint16_t code);
/* "unknown_ca"; one without a name is "alert 200". */
void tls_put_alert(struct buf *to, uint8_t number);

/* "0x1301", what has no name. */
void tls_put_code(struct buf *to, uint16_t code);

/* The keys that make such signatures in that version; 0: none known. */
unsigned tls_signature_keys(uint16_t code, uint16_t version);

/* Whether a group is one of RFC 7919, and no curve. */
bool tls_group_is_finite(uint16_t code);

/* The group that is the curve of an ECDSA key (enum tls_key), or 0. */
uint16_t tls_key_group(unsigned key);

/* The group that is called so, whatever the case of letters; 0: not known. */
uint16_t tls_group_named(struct span name);

/*
 * Cipher suites: their names of IANA, and what they need of the server's key and of the
 * groups. Only those are known that mail clients offer, or that a server with a
 * certificate can be configured to accept.
 */
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

/* Whether a version can have it: TLS 1.3 has its own, and 1.2 brought AEAD and SHA-2. */
bool tls_suite_is_of(uint16_t code, uint16_t version);
