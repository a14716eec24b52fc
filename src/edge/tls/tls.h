/* SPDX-License-Identifier: ISC */
/*
 * TLS for one connection: the table of functions of the module tls.so. GnuTLS is loaded
 * with the module, when a client asks for TLS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include "smtp/facts.h"

#define TLS_MODULE "tls.so"
#define TLS_MODULE_TABLE "postern_tls"

/*
 * TLS 1.2 and later ("NORMAL" alone would still offer 1.0 and 1.1 in GnuTLS 3.7), and
 * of the client's offer the cheapest: X25519 and AES-128-GCM.
 */
#define TLS_PRIORITY_DEFAULT                                                             \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"                  \
	":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"   \
	":+GROUP-FFDHE2048:+GROUP-FFDHE3072"                                             \
	":-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"                      \
	":+AES-128-CBC:+AES-256-CBC"

/* ALPN: the names that a client may give the protocol */
#define TLS_PROTOCOL_SMTP "smtp"
#define TLS_PROTOCOL_ESMTP "esmtp"

#define TLS_PAIR_MAX 16 /* certificates: SNI names times RSA and ECDSA */
#define TLS_TICKET_KEY 64 /* octets in a ticket key file, as GnuTLS asks */
#define TLS_FAULT_TEXT 384 /* a path and a sentence */

#define TLS_BINDING_SIZE 32 /* octets of the channel binding tls-exporter, RFC 9266 */
#define TLS_FINGERPRINT_SIZE 32 /* SHA-256 */
#define TLS_CLIENT_NAMES_MAX 8 /* of one certificate */
#define TLS_CLIENT_NAME_MAX 256 /* NUL included */

struct tls_pair {
	const char *certificate; /* PEM: the leaf first, then the chain */
	/* PEM, no passphrase; may be the same file. An agent also takes a TLS_TOKEN */
	const char *key;
};

#define TLS_TOKEN "pkcs11:" /* a URL (RFC 7512): a key that a token keeps */

struct keys;
struct keys_request;
struct keys_answer;

/*
 * A file that was opened before the sandbox was entered, in which its name leads
 * nowhere. This file is read, even when another one has its name by then.
 */
struct tls_opened {
	const char *path;
	int fd; /* or -errno */
};

#define TLS_OPENED_MAX (2 * TLS_PAIR_MAX + 2) /* and tickets and authorities */

struct tls_settings {
	/* the first is the default: for clients that send no SNI, or an unknown one */
	struct tls_pair pairs[TLS_PAIR_MAX];
	size_t n_pairs;
	const char *priority; /* GnuTLS's priority string */
	const char *tickets; /* ticket key file, or NULL: no tickets */
	const char *hostname; /* which a certificate should cover, or NULL: any */
	/* PEM file of authorities, or NULL: clients are asked for no certificate */
	const char *client_ca;
	const struct tls_opened *opened; /* some of these files */
	size_t n_opened;
	/*
	 * the agent that has the private keys and reads the files of all pairs; it
	 * outlives the credentials. NULL: they are read here.
	 */
	const struct keys *keys;
};

/* True when some key is in a token. */
static inline bool tls_settings_have_token(const struct tls_settings *settings)
{
	for (size_t i = 0; i < settings->n_pairs; i++)
		if (strncmp(settings->pairs[i].key, TLS_TOKEN, strlen(TLS_TOKEN)) == 0)
			return true;
	return false;
}

/* The certificate that a client has shown. */
struct tls_client {
	bool trusted; /* by an authority of client_ca, for a client, today */
	char fault[FACT_NAME_MAX]; /* why it is not, in the library's words */
	char fingerprint[2 * TLS_FINGERPRINT_SIZE + 1]; /* of all of it, hexadecimal */
	/* of subjectAltName: rfc822Names, then dNSNames; graphic ASCII, or left out */
	char names[TLS_CLIENT_NAMES_MAX][TLS_CLIENT_NAME_MAX];
	size_t n_names;
};

/*
 * Gets the faults of certificate, key, ticket key or priority string: a sentence a
 * call.
 */
struct tls_report {
	void *ctx;
	void (*fault)(void *ctx, const char *text);
};

/*
 * The connection below TLS. Both return octets moved (read: 0 at end of file) or
 * -errno, -ETIMEDOUT and -EINTR (a signal asked us to end) included; the caller's
 * deadlines apply inside.
 */
struct tls_io {
	void *ctx;
	ssize_t (*read)(void *ctx, void *to, size_t n);
	ssize_t (*write)(void *ctx, const void *from, size_t n);
	const char *service; /* tickets of one are of no use at another; NULL: "" */
};

#define TLS_NAME_TEXT 256 /* a DNS name has 253 octets */
#define TLS_SUBJECT_TEXT 512

/* What a certificate contains: texts as they stand there, which may be anything. */
struct tls_description {
	const char *file;
	char subject[TLS_SUBJECT_TEXT]; /* RFC 4514 */
	char names[4 * TLS_NAME_TEXT]; /* DNS names, divided by ", " */
	char key[32]; /* "ECDSA 256", "RSA 2048" */
	/*
	 * seconds since 1970: when all of the chain is valid that is sent, but its root
	 */
	int64_t first, last;
	bool by_issuer; /* one of these is the issuer's, and not the certificate's own */
	bool self_signed;
	bool misnamed; /* it does not cover the settings' hostname */
};

struct tls_credentials;
struct tls_keys;
struct tls;
struct idn_api;

struct tls_api {
	const struct idn_api *names; /* edge/idn/idn.h: GnuTLS loads their libraries */

	/*
	 * False when GnuTLS could not initialise itself, as without memory: nothing
	 * below works in this process. Takes half a millisecond; to be asked after a
	 * fault.
	 */
	bool (*is_initialised)(void);

	/*
	 * Reads the priority string, the pairs and the ticket key, and reports all that
	 * is wrong with them. A pair is unusable when it is missing, unreadable,
	 * unparsable or its key is another certificate's, and is still so when read
	 * once more (it may have been half replaced): the others are used without it.
	 * Expired, not yet valid and misnamed ones are used. A bad ticket key means no
	 * tickets. 0; -EINVAL when no pair or the priority string is usable; -ENOMEM.
	 */
	int (*load)(const struct tls_settings *settings, const struct tls_report *report,
		struct tls_credentials **ret);
	void (*unload)(struct tls_credentials *credentials);
	/*
	 * Puts another priority string in the place of theirs. 0; -EINVAL, with a fault
	 * reported; -ENOMEM.
	 */
	int (*prioritize)(struct tls_credentials *credentials, const char *priority,
		const struct tls_report *report);

	/*
	 * Reports what load() would, and what it does not look at: a key file that
	 * others may read, a priority string without a signature for a key. Returns how
	 * many faults there were.
	 */
	size_t (*check)(
		const struct tls_settings *settings, const struct tls_report *report);

	/* The same for the priority string alone, and the keys that it has to allow. */
	size_t (*check_priority)(
		const struct tls_settings *settings, const struct tls_report *report);

	/*
	 * A server handshake on `io`, which is copied. 0 and a session, with *ret_facts
	 * filled. Or a negative errno, with *ret_failure filled: -EPROTO (TLS; the peer
	 * was sent an alert, or sent one), -ECONNRESET (it went away), -ENOMEM, or what
	 * io returned. The credentials must outlive the session.
	 */
	int (*accept)(struct tls_credentials *credentials, const struct tls_io *io,
		struct tls **ret, struct tls_facts *ret_facts,
		struct tls_failure *ret_failure);

	/*
	 * Octets read; 0 at close_notify; -ECONNRESET for an end without close_notify;
	 * -EPROTO; or what io returned. After -ETIMEDOUT and -EINTR from io, write()
	 * and read() still work. n is not 0.
	 */
	ssize_t (*read)(struct tls *tls, void *to, size_t n);
	/* Once read() has ended the session: what is known of that. */
	void (*failure)(const struct tls *tls, struct tls_failure *ret);
	/*
	 * True when read() has something to begin with that is in memory already:
	 * octets, a whole record that was read ahead, or the session's end. A record
	 * without octets for the caller counts too: read() may wait behind it.
	 */
	bool (*pending)(const struct tls *tls);
	/* NULL: the client has shown no certificate, or was not asked for one. */
	const struct tls_client *(*client)(const struct tls *tls);
	/* The channel binding tls-exporter; false before TLS 1.3. */
	bool (*binding)(const struct tls *tls, unsigned char ret[TLS_BINDING_SIZE]);
	/* All n octets are written, or -errno, after which nothing more can be. */
	int (*write)(struct tls *tls, const void *from, size_t n);
	/*
	 * Sends close_notify, unless the session is broken; does not wait for the
	 * peer's.
	 */
	void (*bye)(struct tls *tls);
	void (*free)(struct tls *tls);

	/*
	 * In a key agent: reads the pairs of the settings. What is wrong with one is
	 * kept, for answers. 0 or -ENOMEM.
	 */
	int (*load_keys)(const struct tls_settings *settings, struct tls_keys **ret);
	/* Answers a request of an untrusted client, whose n is in bounds. */
	void (*answer)(const struct tls_keys *keys, const struct keys_request *request,
		struct keys_answer *ret);

	/*
	 * Describes the first certificate in each of the settings' files that can be
	 * read. No key is read.
	 */
	void (*describe)(const struct tls_settings *settings,
		void (*take)(void *ctx, const struct tls_description *description),
		void *ctx);
};
