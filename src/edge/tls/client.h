/* What a client says of itself by its certificate, as the plain values of edge/tls/tls.h. */
#pragma once

#include <gnutls/x509.h>
#include "edge/tls/fault.h"
#include "edge/tls/tls.h"

/*
 * Reads the authorities that sign clients' certificates, PEM. 0; -EINVAL with *ret_fault
 * said; -ENOMEM. The list is freed with gnutls_x509_trust_list_deinit(list, 1).
 */
int tls_client_authorities(const struct tls_settings *settings,
	gnutls_x509_trust_list_t *ret, struct tls_fault *ret_fault);

/*
 * The certificate that the client has shown, looked at once for all: to be freed. NULL
 * when it has shown none, or without memory.
 */
struct tls_client *tls_client_new(
	gnutls_session_t session, gnutls_x509_trust_list_t authorities);

/*
 * The channel binding tls-exporter (RFC 9266). False before TLS 1.3, where a client takes
 * tls-unique, which is broken without an extension that it may lack (RFC 7627).
 */
bool tls_client_binding(gnutls_session_t session, unsigned char ret[TLS_BINDING_SIZE]);
