/* SPDX-License-Identifier: ISC */
/*
 * What the files of tls.so share, in the order in which they build on each other: files
 * and their faults, pairs of certificate and key, credentials, the connection below
 * TLS, and facts.
 */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "edge/tls/tls.h"

/* file.c */

/*
 * A leaf, a chain and a key are some 10 KiB; the list of all public authorities is not
 * meant to fit.
 */
#define TLS_FILE_MAX (256 * 1024)

/* A small file with secrets in it. */
struct tls_file {
	unsigned char *data;
	size_t n;
	mode_t mode;
	bool has_acl; /* the group bits of the mode are then the mask of the list */
};

/*
 * systemd has put no file in place (edge/credential.h): the file is the placeholder, or
 * empty
 */
#define TLS_FILE_NO_CREDENTIAL (-ENOKEY)

/*
 * Reads a file of these settings whole. 0, or -errno: -EFBIG above TLS_FILE_MAX,
 * -EINVAL for what is not a regular file, and what kept it from being opened before the
 * sandbox was entered.
 */
int tls_file_read(
	const struct tls_settings *settings, const char *path, struct tls_file *ret);
/* Wipes and frees; takes a zeroed one too. */
void tls_file_done(struct tls_file *file);

/* Whether others than the owner (and root) may read or write the file. */
bool tls_file_shared_with_group(const struct tls_file *file);
bool tls_file_shared_with_others(const struct tls_file *file);

/* What is wrong with a file or a setting: a sentence that names it, with the cure. */
struct tls_fault {
	char text[TLS_FAULT_TEXT];
};

/*
 * Writes the sentence (a too long one is cut) and returns -EINVAL, for the caller to
 * return.
 */
int tls_fault_set(struct tls_fault *fault, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Writes why the file of a setting could not be read; `r` and the file are
 * tls_file_read()'s. Returns -EINVAL, or -ENOMEM where `r` is that.
 */
int tls_fault_file(struct tls_fault *fault, const char *setting, const char *path, int r,
	const struct tls_file *file);

void tls_fault_report(const struct tls_fault *fault, const struct tls_report *report);

/* certificate.c */

#define TLS_CHAIN_MAX 16 /* GnuTLS's own limit for a chain that it sorts */

/* A key that an agent has: what GnuTLS must know of it. */
struct tls_remote_key {
	const struct keys *keys; /* how to reach the agent */
	size_t number; /* of the pair, there */
	int kind; /* gnutls_pk_algorithm_t */
	unsigned int bits;
	int error; /* why the last signature was not made: of keys_ask() */
};

/* A certificate chain with its key, which are known to belong together. */
struct tls_pair_read {
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX]; /* the leaf is first */
	unsigned int n_chain;
	/* one of these */
	gnutls_x509_privkey_t key;
	gnutls_privkey_t token; /* kept by a token */
	struct tls_remote_key *remote; /* borrowed */
};

/*
 * Reads one of the settings' pairs from files. 0; -EINVAL with *ret_fault filled, when
 * it is unusable even when read once more; -ENOMEM.
 */
int tls_pair_read(const struct tls_settings *settings, size_t number,
	struct tls_pair_read *ret, struct tls_fault *ret_fault);
void tls_pair_done(struct tls_pair_read *pair);

/* Copies the pair into a set that sessions choose from. 0 or -ENOMEM. */
int tls_pair_add(const struct tls_pair_read *pair, gnutls_certificate_credentials_t set);

/*
 * Reports each certificate of the chain, roots excepted, that has expired or is not
 * valid yet.
 */
void tls_pair_report_time(const struct tls_pair_read *pair, const struct tls_pair *files,
	const struct tls_report *report);

/* See struct tls_api. */
void tls_describe(const struct tls_settings *settings,
	void (*take)(void *ctx, const struct tls_description *description), void *ctx);

/*
 * The facts of the certificates that the session has to choose from, and of the one
 * that it chose, or would have. `name` is what that one should cover; empty: nothing.
 * *ret is zeroed memory.
 */
void tls_facts_of_certificate(
	gnutls_session_t session, const char *name, struct tls_certificate *ret);

/* keys.c */

/* See struct tls_api for these two. */
int tls_keys_load(const struct tls_settings *settings, struct tls_keys **ret);
void tls_keys_answer(const struct tls_keys *keys, const struct keys_request *request,
	struct keys_answer *ret);

/* The chain of a pair whose key the agent of the settings has; as tls_pair_read(). */
int tls_pair_fetch(const struct tls_settings *settings, size_t number,
	struct tls_pair_read *ret, struct tls_fault *ret_fault);

/*
 * The key of a token, with the PIN in the URL, or in the file that it names, if the token
 * needs one. 0; -EINVAL with *ret_fault filled; -ENOMEM. *ret is set in any case.
 */
int tls_token_open(const char *url, gnutls_privkey_t *ret, struct tls_fault *ret_fault);

/* The id of its public key, as gnutls_x509_crt_get_key_id() has it. */
bool tls_token_id(gnutls_privkey_t token, unsigned char *to, size_t *n);

/* The key of a file, or of an agent, as GnuTLS uses it. 0 or -ENOMEM. */
int tls_pair_copy_key(const struct tls_pair_read *pair, gnutls_privkey_t *ret);

struct tls_credentials;

/* After a failure with GnuTLS's `code`: adds why the agent has not signed, if so. */
void tls_facts_of_agent(
	const struct tls_credentials *c, int code, struct tls_failure *ret);

/* credentials.c */

/*
 * True when GnuTLS can do its work in this process. It initialises itself once, when it is
 * loaded; without memory for a part of libtasn1's tables it does not notice that it can
 * read no certificate, so one is read here.
 */
bool tls_library_works(void);

/* All that a handshake needs and many handshakes may share. */
struct tls_credentials {
	gnutls_priority_t priority;
	struct tls_pair_read pairs[TLS_PAIR_MAX]; /* only kept when there are several */
	size_t n_pairs;
	uint32_t default_pairs; /* a bit for each pair that has the default's name */
	gnutls_certificate_credentials_t default_set;
	const char *hostname; /* of the settings, which live on; or NULL */
	const struct keys *keys; /* NULL: the private keys are here */
	struct tls_remote_key remote[TLS_PAIR_MAX]; /* by number of the pair */
	gnutls_x509_trust_list_t authorities; /* of clients; NULL: they are not asked */
	bool has_tickets;
	unsigned char ticket_key[TLS_TICKET_KEY];
};

/* See struct tls_api for these five. */
int tls_credentials_load(const struct tls_settings *settings,
	const struct tls_report *report, struct tls_credentials **ret);
void tls_credentials_free(struct tls_credentials *credentials);
int tls_credentials_prioritize(struct tls_credentials *credentials, const char *priority,
	const struct tls_report *report);
size_t tls_credentials_check(
	const struct tls_settings *settings, const struct tls_report *report);
size_t tls_credentials_check_priority(
	const struct tls_settings *settings, const struct tls_report *report);

/*
 * The certificates for a server name: all the pairs that cover it, RSA and ECDSA, and
 * no others; for an unknown name the default's. *ret is the default set, or a new one
 * that the caller frees (true). -ENOMEM when it cannot be made.
 */
int tls_credentials_for_name(const struct tls_credentials *credentials, const char *name,
	gnutls_certificate_credentials_t *ret, bool *ret_owned);

/* facts.c */

/* After a handshake that succeeded. */
void tls_facts_of_session(gnutls_session_t session, struct tls_facts *ret);
/*
 * After one that failed, or a session that did, with GnuTLS's `code`, or because io
 * returned `io_error` (else 0), which counts more: what ended it, by which alert, and
 * how far it had come. ret->opening is already known; its alert counts where GnuTLS saw
 * none.
 */
void tls_facts_of_failure(
	gnutls_session_t session, int code, int io_error, struct tls_failure *ret);

/* Adds what its certificate is worth; NULL: it has shown none. */
void tls_facts_of_client(const struct tls_client *client, struct tls_facts *ret);

/* Not even a session could be made. */
void tls_facts_of_no_memory(struct tls_failure *ret);

/* The server name that the client asked for, when it is plain; else "". */
void tls_facts_of_name(gnutls_session_t session, char ret[FACT_NAME_MAX]);

/*
 * What a priority string allows a server that has certificates, as IANA's code points:
 * PSK, SRP and anonymous suites are left out, and signatures that the newest common
 * version cannot use. *ret is zeroed memory.
 */
void tls_facts_of_priority(gnutls_priority_t priority, const struct tls_opening *opening,
	struct tls_terms *ret);

/*
 * The certificate that the client has shown, examined once for all: to be freed. NULL
 * when it has shown none, or without memory.
 */
struct tls_client *tls_client_new(
	gnutls_session_t session, gnutls_x509_trust_list_t authorities);

/*
 * The channel binding tls-exporter (RFC 9266). False before TLS 1.3, where a client
 * takes tls-unique, which is broken without an extension that it may lack (RFC 7627).
 */
bool tls_client_binding(gnutls_session_t session, unsigned char ret[TLS_BINDING_SIZE]);
