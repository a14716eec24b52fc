/*
 * All that a handshake needs and many handshakes may share: priorities, certificates,
 * ticket key.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>
#include "edge/tls/pair.h"
#include "edge/tls/tls.h"

struct tls_credentials {
	gnutls_priority_t priority;
	struct tls_pair_read pairs[TLS_PAIR_MAX]; /* only kept when there are several */
	size_t n_pairs;
	uint32_t default_pairs; /* a bit for each pair that has the default's name */
	gnutls_certificate_credentials_t default_set;
	const char *hostname; /* of the settings, which live on; or NULL */
	gnutls_x509_trust_list_t authorities; /* of clients; NULL: they are not asked */
	bool has_tickets;
	unsigned char ticket_key[TLS_TICKET_KEY];
};

int tls_credentials_load(const struct tls_settings *settings,
	const struct tls_report *report, struct tls_credentials **ret);
void tls_credentials_free(struct tls_credentials *credentials);
int tls_credentials_prioritize(struct tls_credentials *credentials, const char *priority,
	const struct tls_report *report);
size_t tls_credentials_check(
	const struct tls_settings *settings, const struct tls_report *report);

void tls_credentials_describe(const struct tls_settings *settings,
	void (*tell_of)(void *ctx, const struct tls_description *description), void *ctx);

size_t tls_credentials_check_priority(
	const char *priority, const struct tls_report *report);

/* 0; -EINVAL with *ret_fault said; -ENOMEM. */
int tls_credentials_priority(
	const char *priority, gnutls_priority_t *ret, struct tls_fault *ret_fault);

/*
 * The certificates for a server name: all the pairs that cover it, RSA and ECDSA, and no
 * others; for an unknown name the default's. *ret is the default set, or a new one that
 * the caller frees (true). -ENOMEM when it cannot be made.
 */
int tls_credentials_for_name(const struct tls_credentials *credentials, const char *name,
	gnutls_certificate_credentials_t *ret, bool *ret_owned);
