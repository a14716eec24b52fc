/*
 * One certificate chain with its key, read from PEM files and known to belong together.
 */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "edge/tls/fault.h"

#define TLS_CHAIN_MAX 16 /* GnuTLS's own limit for a chain that it sorts */

struct tls_pair_read {
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX]; /* the leaf is first */
	unsigned int n_chain;
	gnutls_x509_privkey_t key;
};

/*
 * One of the settings' pairs. 0; -EINVAL with *ret_fault said, when it is unusable even
 * when read once more; -ENOMEM.
 */
int tls_pair_read(const struct tls_settings *settings, const struct tls_pair *files,
	struct tls_pair_read *ret, struct tls_fault *ret_fault);
void tls_pair_done(struct tls_pair_read *pair);

/* Copies the pair into a set that sessions choose from. 0 or -ENOMEM. */
int tls_pair_add(const struct tls_pair_read *pair, gnutls_certificate_credentials_t set);

/*
 * Which of the certificates of a list have issued the first one, or one of these issuers: bit i for the number i.
 * Their signatures are looked at, as a renewed authority keeps its name.
 */
uint32_t tls_pair_issuers(const gnutls_x509_crt_t *list, unsigned int n);

/* True of a certificate that its own subject has signed. */
bool tls_pair_is_root(gnutls_x509_crt_t crt);

/* Whether the certificate number `i` of the chain is within its time, or a root; if not, -EINVAL and the fault. */
int tls_pair_in_time(const struct tls_pair_read *pair, unsigned int i,
	const struct tls_pair *files, time_t now, struct tls_fault *ret_fault);
