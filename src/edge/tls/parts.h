/* SPDX-License-Identifier: ISC */
/*
 * The functions that the files of tls.so share, each group using those above it: files
 * and their faults, pairs of certificate and key, credentials, and facts.
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
 * Octets of a file. A leaf, a chain and a key have some 10 KiB; a list of all public
 * authorities does not fit, on purpose.
 */
#define TLS_FILE_MAX (256 * 1024)

/* A small file with secrets in it. */
struct tls_file {
	unsigned char *data;
	size_t n;
	mode_t mode;
	/*
	 * the file has an access list; the group bits of its mode are then the list's
	 * mask
	 */
	bool has_acl;
};

/*
 * systemd has provided no credential (edge/file.h): the file is the placeholder, or empty
 */
#define TLS_FILE_NO_CREDENTIAL (-ENOKEY)

/*
 * Reads a whole file of these settings. 0, or -errno: -EFBIG for more than TLS_FILE_MAX
 * octets, -EINVAL for other than regular files, or the error of opening it before the
 * sandbox was entered.
 */
int tls_file_read(
	const struct tls_settings *settings, const char *path, struct tls_file *ret);
/* Wipes and frees the file; it may be all zeros. */
void tls_file_done(struct tls_file *file);

/* True when users other than the owner and root may read or write the file. */
bool tls_file_shared_with_group(const struct tls_file *file);
bool tls_file_shared_with_others(const struct tls_file *file);

/* The fault of a file or a setting: a sentence with its name and a cure. */
struct tls_fault {
	char text[TLS_FAULT_TEXT];
	bool is_pin; /* a token has refused the PIN */
};

/* Formats the sentence, which is cut if it is too long, and returns -EINVAL. */
int tls_fault_set(struct tls_fault *fault, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Writes why the file of a setting could not be read; `r` and the file are results of
 * tls_file_read(). Returns -EINVAL, or -ENOMEM if `r` is -ENOMEM.
 */
int tls_fault_file(struct tls_fault *fault, const char *setting, const char *path, int r,
	const struct tls_file *file);

void tls_fault_report(const struct tls_fault *fault, const struct tls_report *report);

/* certificate.c */

#define TLS_CHAIN_MAX 16 /* GnuTLS's limit for a chain that it sorts */

/* A key of an agent, with the values that GnuTLS needs. */
struct tls_remote_key {
	const struct keys *keys; /* how to reach the agent */
	size_t number; /* number of the pair in the agent */
	int kind; /* gnutls_pk_algorithm_t */
	unsigned int bits;
	int error; /* error of keys_ask() for the last signature; 0: it was made */
};

/* A certificate chain with its key, which are known to belong together. */
struct tls_pair_read {
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX]; /* the leaf is first */
	unsigned int n_chain;
	/* one of these three is set */
	gnutls_x509_privkey_t key;
	gnutls_privkey_t token; /* kept by a token */
	struct tls_remote_key *remote; /* borrowed */
};

/*
 * Reads the certificates of a pair alone. 0; -EINVAL with *ret_fault filled when there is
 * none; or -ENOMEM.
 */
int tls_chain_read(const struct tls_settings *settings, const char *path,
	struct tls_pair_read *ret, struct tls_fault *ret_fault);

/*
 * Reads a pair of the settings from files. 0; -EINVAL with *ret_fault filled when it is
 * unusable, even when read once more (a pair with a refused PIN is not); or -ENOMEM.
 */
int tls_pair_read(const struct tls_settings *settings, size_t number,
	struct tls_pair_read *ret, struct tls_fault *ret_fault);
void tls_pair_done(struct tls_pair_read *pair);

/* Copies the pair into a set from which sessions choose. 0 or -ENOMEM. */
int tls_pair_add(const struct tls_pair_read *pair, gnutls_certificate_credentials_t set);

/*
 * Reports each certificate of the chain, except roots, that has expired or is not valid
 * yet.
 */
void tls_pair_report_time(const struct tls_pair_read *pair, const struct tls_pair *files,
	const struct tls_report *report);

/* See struct tls_api. */
void tls_describe(const struct tls_settings *settings,
	void (*take)(void *ctx, const struct tls_description *description), void *ctx);

/*
 * Fills the facts of the session's certificates, and of the one that it chose or would
 * have chosen. `name` is the name that this one should cover; empty: any. *ret is zeroed
 * memory.
 */
void tls_facts_of_certificate(
	gnutls_session_t session, const char *name, struct tls_certificate *ret);

/* keys.c */

/* See struct tls_api for these two. */
int tls_keys_load(const struct tls_settings *settings, struct tls_keys **ret);
bool tls_keys_answer(const struct tls_keys *keys, const struct keys_request *request,
	struct keys_answer *ret);

/* Fetches the chain of a pair whose key the agent has. Results as tls_pair_read(). */
int tls_pair_fetch(const struct tls_settings *settings, size_t number,
	struct tls_pair_read *ret, struct tls_fault *ret_fault);

/*
 * Opens the key of a token. A PIN is in the file that the URL names. 0;
 * -EINVAL with *ret_fault filled; -ENOMEM. *ret is set in any case.
 */
int tls_token_open(const char *url, gnutls_privkey_t *ret, struct tls_fault *ret_fault);

/* Writes the id of its public key, as gnutls_x509_crt_get_key_id() does. */
bool tls_token_id(gnutls_privkey_t token, unsigned char *to, size_t *n);

/* Makes the key of a file, or of an agent, in the form that GnuTLS uses. 0 or -ENOMEM. */
int tls_pair_copy_key(const struct tls_pair_read *pair, gnutls_privkey_t *ret);

struct tls_credentials;

/* Adds the agent's error to a failure with GnuTLS's `code`, if the agent caused it. */
void tls_facts_of_agent(
	const struct tls_credentials *c, int code, struct tls_failure *ret);

/* credentials.c */

/*
 * True when GnuTLS works in this process. It initialises itself once, when it is loaded.
 * It does not detect that memory for a table of libtasn1 was missing, after which no
 * certificate can be read; so this function reads one.
 */
bool tls_library_works(void);

/* The data of handshakes, which many of them may share. */
struct tls_credentials {
	gnutls_priority_t priority;
	struct tls_pair_read pairs[TLS_PAIR_MAX]; /* kept only if there are several */
	size_t n_pairs;
	uint32_t default_pairs; /* a bit for each pair with the name of the default */
	gnutls_certificate_credentials_t default_set;
	const char *hostname; /* hostname of the settings, which outlive this; or NULL */
	const struct keys *keys; /* NULL: this process has the private keys */
	struct tls_remote_key remote[TLS_PAIR_MAX]; /* index: number of the pair */
	/* authorities of clients; NULL: no certificate is requested */
	gnutls_x509_trust_list_t authorities;
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
 * Finds the certificates for a server name: all pairs that cover it, RSA and ECDSA, and
 * no others; those of the default for an unknown name. *ret is the default set (0), or a
 * new one that the caller frees (1). -ENOMEM when it cannot be made.
 */
int tls_credentials_for_name(const struct tls_credentials *credentials, const char *name,
	gnutls_certificate_credentials_t *ret, bool *ret_owned);

/* facts.c */

/*
 * True when the certificate covers the name, which may be an address literal (RFC 5321
 * 4.1.3).
 */
bool tls_covers(gnutls_x509_crt_t leaf, const char *name);

/* Fills the facts of a session after a handshake. */
void tls_facts_of_session(gnutls_session_t session, struct tls_facts *ret);
/*
 * Fills the facts of a failed handshake or session. `code` is GnuTLS's; `io_error` is the
 * result of io, or 0, and takes precedence. ret->opening is already set; its alert is
 * used if GnuTLS received none.
 */
void tls_facts_of_failure(
	gnutls_session_t session, int code, int io_error, struct tls_failure *ret);

/* Adds the verification of the client's certificate; NULL: it sent none. */
void tls_facts_of_client(const struct tls_client *client, struct tls_facts *ret);

/* Fills the facts of a failure to make a session. */
void tls_facts_of_no_memory(struct tls_failure *ret);

/* Returns the server name that the client asked for, if it is plain; else "". */
void tls_facts_of_name(gnutls_session_t session, char ret[FACT_NAME_MAX]);

/*
 * Lists what a priority string allows a server with certificates, as code points of IANA.
 * PSK, SRP and anonymous suites are left out, and signatures that the newest common
 * version cannot use. *ret is zeroed memory.
 */
void tls_facts_of_priority(gnutls_priority_t priority, const struct tls_opening *opening,
	struct tls_terms *ret);

/*
 * Verifies the client's certificate. The caller frees the result. NULL: the client sent
 * none, or memory is short.
 */
struct tls_client *tls_client_new(
	gnutls_session_t session, gnutls_x509_trust_list_t authorities);

/*
 * Computes the channel binding tls-exporter (RFC 9266). False before TLS 1.3, because
 * clients then use tls-unique, which is insecure without an extension that they may lack
 * (RFC 7627).
 */
bool tls_client_binding(gnutls_session_t session, unsigned char ret[TLS_BINDING_SIZE]);
