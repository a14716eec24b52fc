/* SPDX-License-Identifier: ISC */
/*
 * TLS for one connection: the table of functions of the module tls.so. GnuTLS is loaded
 * with the module when a client requests TLS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include "edge/module.h"
#include "smtp/facts.h"

#define TLS_MODULE "tls.so"
#define TLS_MODULE_TABLE MODULE_TABLE("postern_tls")

/*
 * TLS 1.2 and later ("NORMAL" alone would still offer 1.0 and 1.1 in GnuTLS 3.7), with a
 * preference for the cheapest algorithms: X25519 and AES-128-GCM.
 */
#define TLS_PRIORITY_DEFAULT                                                             \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"                  \
	":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"   \
	":+GROUP-FFDHE2048:+GROUP-FFDHE3072"                                             \
	":-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"                      \
	":+AES-128-CBC:+AES-256-CBC"

/* ALPN: names of the protocol that a client may offer */
#define TLS_PROTOCOL_SMTP "smtp"
#define TLS_PROTOCOL_ESMTP "esmtp"

#define TLS_PAIR_MAX 16 /* certificates: SNI names times RSA and ECDSA */
#define TLS_TICKET_KEY 64 /* octets of a ticket key file, as GnuTLS requires */
#define TLS_FAULT_TEXT 384 /* octets of a path and a sentence */

#define TLS_BINDING_SIZE 32 /* octets of the channel binding tls-exporter, RFC 9266 */
#define TLS_FINGERPRINT_SIZE 32 /* SHA-256 */
#define TLS_CLIENT_NAMES_MAX 8 /* names of one certificate */
#define TLS_CLIENT_NAME_MAX 256 /* octets of a name, NUL included */

struct tls_pair {
	const char *certificate; /* PEM: the leaf first, then the chain */
	/*
	 * PEM without a passphrase, possibly in the same file; in an agent also a
	 * TLS_TOKEN
	 */
	const char *key;
};

/* followed by the path of a key agent's socket; the agent has all keys */
#define TLS_AGENT "agent:"
#define TLS_TOKEN "pkcs11:" /* a URL (RFC 7512) of a key in a token */
#define TLS_PIN_SOURCE "pin-source=" /* in it: the path of a file with the PIN */

struct keys;
struct keys_request;
struct keys_answer;

/*
 * A file that was opened before the sandbox was entered, inside which its path cannot be
 * used. This file is read, even if another one has its name by then.
 */
struct tls_opened {
	const char *path;
	int fd; /* descriptor, or -errno */
};

/* files of the pairs, tickets and authorities */
#define TLS_OPENED_MAX (2 * TLS_PAIR_MAX + 2)

struct tls_settings {
	/* the first is the default, for clients that send no SNI or an unknown one */
	struct tls_pair pairs[TLS_PAIR_MAX];
	size_t n_pairs;
	const char *agent; /* the socket of a key agent; NULL: `keys` come from files */
	const char *priority; /* GnuTLS's priority string */
	const char *tickets; /* ticket key file, or NULL: no tickets */
	const char *hostname; /* name that a certificate should cover; NULL: any */
	/* PEM file of authorities; NULL: clients are not asked for a certificate */
	const char *client_ca;
	const struct tls_opened *opened; /* some of these files */
	size_t n_opened;
	/*
	 * the agent that has the private keys and reads the files of all pairs; it
	 * outlives the credentials. NULL: this process reads the files.
	 */
	const struct keys *keys;
};

/* True when the key is in a token. */
static inline bool tls_is_token(const char *key)
{
	return strncmp(key, TLS_TOKEN, strlen(TLS_TOKEN)) == 0;
}

/* True when some key is in a token. */
static inline bool tls_settings_have_token(const struct tls_settings *settings)
{
	for (size_t i = 0; i < settings->n_pairs; i++)
		if (tls_is_token(settings->pairs[i].key))
			return true;
	return false;
}

/* The path of the file with the PIN of a token; empty: there is none. */
static inline struct span tls_pin_file(const char *key)
{
	const char *path = tls_is_token(key) ? strstr(key, TLS_PIN_SOURCE) : NULL;

	if (!path)
		return SPAN("");
	path += strlen(TLS_PIN_SOURCE);
	return (struct span){ path, strcspn(path, "&") };
}

/* The certificate that a client sent. */
struct tls_client {
	bool trusted; /* valid today, for a client, from an authority of client_ca */
	char fault[FACT_NAME_MAX]; /* why it is not trusted: text of the library */
	/* SHA-256 of the whole certificate, hexadecimal */
	char fingerprint[2 * TLS_FINGERPRINT_SIZE + 1];
	/* subjectAltName: rfc822Names, then dNSNames; only those in graphic ASCII */
	char names[TLS_CLIENT_NAMES_MAX][TLS_CLIENT_NAME_MAX];
	size_t n_names;
	/* common names of it and of its issuer, in UTF-8 without controls; or empty */
	char subject[TLS_CLIENT_NAME_MAX], issuer[TLS_CLIENT_NAME_MAX];
};

/*
 * Receives the faults of certificates, keys, ticket key and priority string: one sentence
 * per call.
 */
struct tls_report {
	void *ctx;
	void (*fault)(void *ctx, const char *text);
	/*
	 * Set when a token has refused a PIN, which is not to be tried again until
	 * something has changed: a token counts such attempts, and then locks itself.
	 * NULL: nothing is tried again.
	 */
	bool *ret_pin_refused;
};

/*
 * The connection below TLS. Both functions apply the caller's deadlines. They return the
 * octets moved (read: 0 at end of file) or -errno, which may be -ETIMEDOUT or -EINTR (a
 * stop signal).
 */
struct tls_io {
	void *ctx;
	ssize_t (*read)(void *ctx, void *to, size_t n);
	ssize_t (*write)(void *ctx, const void *from, size_t n);
	/* tickets of one service are not valid for another; NULL: "" */
	const char *service;
};

#define TLS_NAME_TEXT 256 /* a DNS name has 253 octets */
#define TLS_SUBJECT_TEXT 512

/* The contents of a certificate. The texts are unchecked and may contain any octets. */
struct tls_description {
	const char *file;
	char subject[TLS_SUBJECT_TEXT]; /* RFC 4514 */
	char names[4 * TLS_NAME_TEXT]; /* DNS names, separated by ", " */
	char key[32]; /* "ECDSA 256", "RSA 2048" */
	/* seconds since 1970: validity of the whole chain that is sent, except a root */
	int64_t first, last;
	bool by_issuer; /* one of these times is that of an issuer's certificate */
	bool self_signed;
	bool misnamed; /* it does not cover the hostname of the settings */
};

struct tls_credentials;
struct tls_keys;
struct tls;
struct idn_api;

struct tls_api {
	/* names of edge/idn/idn.h, whose libraries GnuTLS loads */
	const struct idn_api *names;

	/*
	 * False when GnuTLS could not initialise itself, for example for lack of memory;
	 * the functions below then fail in this process. Takes half a millisecond; called
	 * after a fault.
	 */
	bool (*is_initialised)(void);

	/*
	 * Reads the priority string, the pairs and the ticket key, and reports all
	 * faults. A pair is unusable if it is missing, unreadable or unparsable, or if
	 * its key belongs to another certificate, and this is still so when it is read
	 * once more (it may have been half replaced). The other pairs are then used.
	 * Certificates that have expired, are not valid yet, or do not cover the hostname
	 * are used. Without a usable ticket key there are no tickets. 0; -EINVAL when no
	 * pair is usable, or the priority string is not; -ENOMEM.
	 */
	int (*load)(const struct tls_settings *settings, const struct tls_report *report,
		struct tls_credentials **ret);
	void (*unload)(struct tls_credentials *credentials);
	/*
	 * Replaces the priority string of the credentials. 0; -EINVAL, after a reported
	 * fault; -ENOMEM.
	 */
	int (*prioritize)(struct tls_credentials *credentials, const char *priority,
		const struct tls_report *report);

	/*
	 * Reports the faults of load(), and two that load() does not check: a key file
	 * that everyone may read, and a priority string without a signature for a key.
	 * Returns the number of faults.
	 */
	size_t (*check)(
		const struct tls_settings *settings, const struct tls_report *report);

	/*
	 * Like check(), only for the priority string and the keys that it has to allow.
	 */
	size_t (*check_priority)(
		const struct tls_settings *settings, const struct tls_report *report);

	/*
	 * Makes a server handshake on `io`, which is copied. 0 and a session, with
	 * *ret_facts filled; or -errno, with *ret_failure filled: -EPROTO (an error of
	 * TLS; an alert was sent or received), -ECONNRESET (the peer closed), -ENOMEM, or
	 * the result of io. The credentials must outlive the session.
	 */
	int (*accept)(struct tls_credentials *credentials, const struct tls_io *io,
		struct tls **ret, struct tls_facts *ret_facts,
		struct tls_failure *ret_failure);

	/*
	 * Returns the octets read; 0 at close_notify; -ECONNRESET at an end without
	 * close_notify; -EPROTO; or the result of io. After -ETIMEDOUT and -EINTR of io,
	 * write() and read() still work. n is not 0.
	 */
	ssize_t (*read)(struct tls *tls, void *to, size_t n);
	/* Fills the facts about the end, after read() has ended the session. */
	void (*failure)(const struct tls *tls, struct tls_failure *ret);
	/*
	 * True when read() has buffered input: octets, a whole record, or the session's
	 * end. read() may still wait, because a record may have no octets for the caller.
	 */
	bool (*pending)(const struct tls *tls);
	/*
	 * Returns the client's certificate; NULL: it sent none, or was not asked for one.
	 */
	const struct tls_client *(*client)(const struct tls *tls);
	/* Returns the channel binding tls-exporter; false before TLS 1.3. */
	bool (*binding)(const struct tls *tls, unsigned char ret[TLS_BINDING_SIZE]);
	/* Writes all n octets. 0; or -errno, after which nothing more can be written. */
	int (*write)(struct tls *tls, const void *from, size_t n);
	/*
	 * Sends close_notify, unless the session is broken; does not wait for the
	 * peer's.
	 */
	void (*bye)(struct tls *tls);
	void (*free)(struct tls *tls);

	/*
	 * Reads the pairs of the settings in a key agent. The fault of a pair is kept for
	 * answers. 0 or -ENOMEM.
	 */
	int (*load_keys)(const struct tls_settings *settings, struct tls_keys **ret);
	/*
	 * Answers a request of an untrusted client. The caller has checked its n. False:
	 * a token cannot be used any more in this process.
	 */
	bool (*answer)(const struct tls_keys *keys, const struct keys_request *request,
		struct keys_answer *ret);

	/*
	 * Describes the first certificate of each readable file of the settings. Keys are
	 * not read.
	 */
	void (*describe)(const struct tls_settings *settings,
		void (*take)(void *ctx, const struct tls_description *description),
		void *ctx);
};

/* The table in the module. */
extern const struct tls_api postern_tls __asm__(TLS_MODULE_TABLE);
