/*
 * Turns GnuTLS's own numbers into those of the wire. Promises that what has no code there
 * is left out; refuses to know what any of it is good for.
 */
#include "edge/tls/policy-terms.h"
#include "edge/tls/tls.h"
#include "proto/tls-names.h"

static void list_versions(gnutls_priority_t priority, struct tls_list *to)
{
	const unsigned *list;
	int n = gnutls_priority_protocol_list(priority, &list);

	/* SSL 3.0 to TLS 1.3 follow each other here and there */
	for (int i = 0; i < n; i++)
		if (list[i] >= GNUTLS_SSL3 && list[i] <= GNUTLS_TLS1_3)
			tls_list_add(to,
				(uint16_t)(TLS_VERSION_SSL_3 + (list[i] - GNUTLS_SSL3)));
}

static bool needs_certificate(gnutls_kx_algorithm_t kx)
{
	switch (kx) {
	case GNUTLS_KX_UNKNOWN: /* of TLS 1.3, which settles it apart */
	case GNUTLS_KX_RSA:
	case GNUTLS_KX_DHE_RSA:
	case GNUTLS_KX_ECDHE_RSA:
	case GNUTLS_KX_ECDHE_ECDSA:
		return true;
	default:
		return false;
	}
}

/* Each needs a version that is allowed, too. */
static bool has_version(const struct tls_list *versions, gnutls_kx_algorithm_t kx)
{
	return kx == GNUTLS_KX_UNKNOWN
		       ? tls_list_has(versions, TLS_VERSION_1_3)
		       : versions->n > 0 && tls_list_least(versions) < TLS_VERSION_1_3;
}

static void list_suites(
	gnutls_priority_t priority, const struct tls_list *versions, struct tls_list *to)
{
	for (unsigned i = 0;; i++) {
		gnutls_kx_algorithm_t kx;
		unsigned char code[2];
		unsigned index;
		int r = gnutls_priority_get_cipher_suite_index(priority, i, &index);

		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return;
		if (r >= 0 &&
			gnutls_cipher_suite_info(index, code, &kx, NULL, NULL, NULL) &&
			needs_certificate(kx) && has_version(versions, kx))
			tls_list_add(to, (uint16_t)(code[0] << 8 | code[1]));
	}
}

static void list_groups(gnutls_priority_t priority, struct tls_list *to)
{
	const unsigned *list;
	int n = gnutls_priority_group_list(priority, &list);

	for (int i = 0; i < n; i++) {
		uint16_t code = tls_group_named(span_of(gnutls_group_get_name(list[i])));

		if (code)
			tls_list_add(to, code);
	}
}

static uint16_t code_of_signature(unsigned signature)
{
	static const struct {
		gnutls_sign_algorithm_t signature;
		uint16_t code;
	} codes[] = {
		{ GNUTLS_SIGN_RSA_SHA1, 0x0201 },
		{ GNUTLS_SIGN_ECDSA_SHA1, 0x0203 },
		{ GNUTLS_SIGN_RSA_SHA256, 0x0401 },
		{ GNUTLS_SIGN_ECDSA_SHA256, 0x0403 },
		{ GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 0x0403 },
		{ GNUTLS_SIGN_RSA_SHA384, 0x0501 },
		{ GNUTLS_SIGN_ECDSA_SHA384, 0x0503 },
		{ GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, 0x0503 },
		{ GNUTLS_SIGN_RSA_SHA512, 0x0601 },
		{ GNUTLS_SIGN_ECDSA_SHA512, 0x0603 },
		{ GNUTLS_SIGN_ECDSA_SECP521R1_SHA512, 0x0603 },
		{ GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, 0x0804 },
		{ GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, 0x0805 },
		{ GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, 0x0806 },
		{ GNUTLS_SIGN_EDDSA_ED25519, 0x0807 },
		{ GNUTLS_SIGN_EDDSA_ED448, 0x0808 },
		{ GNUTLS_SIGN_RSA_PSS_SHA256, 0x0809 },
		{ GNUTLS_SIGN_RSA_PSS_SHA384, 0x080a },
		{ GNUTLS_SIGN_RSA_PSS_SHA512, 0x080b },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (codes[i].signature == signature)
			return codes[i].code;
	return 0;
}

static void list_signatures(gnutls_priority_t priority, struct tls_list *to)
{
	const unsigned *list;
	int n = gnutls_priority_sign_list(priority, &list);

	for (int i = 0; i < n; i++)
		if (code_of_signature(list[i]))
			tls_list_add(to, code_of_signature(list[i]));
}

void allowed_by(gnutls_priority_t priority, struct tls_terms *ret)
{
	struct buf protocols = BUF(ret->alpn);

	list_versions(priority, &ret->versions);
	list_suites(priority, &ret->versions, &ret->suites);
	list_groups(priority, &ret->groups);
	list_signatures(priority, &ret->signatures);
	buf_put(&protocols, SPAN(TLS_PROTOCOL_SMTP " " TLS_PROTOCOL_ESMTP));
	buf_terminate(&protocols);
}
