/* SPDX-License-Identifier: ISC */
/*
 * IANA's names of the code points of TLS. Only code points that mail clients offer have a
 * name here; all others are written in hex.
 */
#pragma once

#include "base/buf.h"

#define TLS_VERSION_SSL_2 0x0002
#define TLS_VERSION_SSL_3 0x0300
#define TLS_VERSION_1_0 0x0301
#define TLS_VERSION_1_1 0x0302
#define TLS_VERSION_1_2 0x0303
#define TLS_VERSION_1_3 0x0304

/* Kinds of keys, as bits, because a set of them is often needed. */
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

/* Appends "TLS1.3", as in records. */
void tls_put_version(struct buf *to, uint16_t code);
/* Appends "TLS 1.3", as in sentences. */
void tls_put_version_text(struct buf *to, uint16_t code);
/* "x25519" */
void tls_put_group(struct buf *to, uint16_t code);
/* "ecdsa_secp256r1_sha256" */
void tls_put_signature(struct buf *to, uint16_t code);
/* Appends "unknown_ca", or "alert 200" for an alert without a name. */
void tls_put_alert(struct buf *to, uint8_t number);

/* Appends "0x1301", for a code without a name. */
void tls_put_code(struct buf *to, uint16_t code);

/* Returns the kinds of keys that make such signatures in that version; 0: unknown. */
unsigned tls_signature_keys(uint16_t code, uint16_t version);

/* True for a group of RFC 7919; false for a curve. */
bool tls_group_is_finite(uint16_t code);

/* Returns the group of an ECDSA key's curve (enum tls_key), or 0. */
uint16_t tls_key_group(unsigned key);

/* Returns the group of that name, in upper or lower case; 0: unknown. */
uint16_t tls_group_named(struct span name);

/*
 * Cipher suites: their IANA names, and the keys and groups that they need. The table has
 * the suites that mail clients offer, and those that a server with a certificate can be
 * configured to accept.
 */
/* The key exchange of a suite. */
enum tls_exchange {
	TLS_EXCHANGE_UNKNOWN,
	TLS_EXCHANGE_RSA, /* without a group */
	TLS_EXCHANGE_FINITE, /* DH with a group of RFC 7919 */
	TLS_EXCHANGE_CURVE,
	TLS_EXCHANGE_ANONYMOUS, /* without a certificate */
	TLS_EXCHANGE_1_3, /* with any group, which TLS 1.3 negotiates separately */
};

/* Appends "TLS_AES_128_GCM_SHA256", or "0x1301" for an unknown suite. */
void tls_put_suite(struct buf *to, uint16_t code);

/* Returns the kinds of keys that the suite can use; 0: unknown. */
unsigned tls_suite_keys(uint16_t code);

enum tls_exchange tls_suite_exchange(uint16_t code);

/* Bits of the key of its cipher, by the name of IANA; 0: not known. */
unsigned tls_suite_bits(struct span name);

/*
 * True when the version can use the suite: TLS 1.3 has its own suites, and AEAD and SHA-2
 * came with TLS 1.2.
 */
bool tls_suite_is_of(uint16_t code, uint16_t version);
