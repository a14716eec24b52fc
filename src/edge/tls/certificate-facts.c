/*
 * Promises what is plain to see in the certificate: its days, its names, its issuer.
 * Refuses to verify: which authorities a client knows is its own secret.
 */
#include "edge/tls/certificate-facts.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "edge/tls/pair.h"
#include "proto/tls-names.h"

#define ECDSA_P256 0x0403 /* signature schemes that are tied to a curve */
#define ECDSA_P384 0x0503
#define ECDSA_P521 0x0603

static unsigned kind_of_key(gnutls_x509_crt_t crt)
{
	switch (gnutls_x509_crt_get_pk_algorithm(crt, NULL)) {
	case GNUTLS_PK_RSA:
	case GNUTLS_PK_RSA_PSS:
		return TLS_KEY_RSA;
	case GNUTLS_PK_ECDSA:
		return TLS_KEY_ECDSA;
	case GNUTLS_PK_EDDSA_ED25519:
	case GNUTLS_PK_EDDSA_ED448:
		return TLS_KEY_EDDSA;
	default:
		return 0;
	}
}

static uint16_t signature_of_curve(gnutls_x509_crt_t crt)
{
	gnutls_datum_t x = { NULL, 0 }, y = { NULL, 0 };
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
	int r = gnutls_x509_crt_get_pk_ecc_raw(crt, &curve, &x, &y);

	gnutls_free(x.data);
	gnutls_free(y.data);
	if (r < 0)
		return 0;
	switch (curve) {
	case GNUTLS_ECC_CURVE_SECP256R1:
		return ECDSA_P256;
	case GNUTLS_ECC_CURVE_SECP384R1:
		return ECDSA_P384;
	case GNUTLS_ECC_CURVE_SECP521R1:
		return ECDSA_P521;
	default:
		return 0;
	}
}

static void set_day(char *to, size_t n, time_t at)
{
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(to, n, "%Y-%m-%d", &tm) == 0)
		snprintf(to, n, "a far day");
}

static void describe(
	gnutls_x509_crt_t crt, bool alone, const char *name, struct tls_certificate *ret)
{
	time_t first = gnutls_x509_crt_get_activation_time(crt);
	time_t last = gnutls_x509_crt_get_expiration_time(crt);
	time_t now = time(NULL);

	ret->known = true;
	ret->expired = last != (time_t)-1 && now > last;
	ret->early = first != (time_t)-1 && now < first;
	set_day(ret->first, sizeof(ret->first), first);
	set_day(ret->last, sizeof(ret->last), last);
	ret->misnamed = *name && !gnutls_x509_crt_check_hostname(crt, name);
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->self_signed = gnutls_x509_crt_check_issuer(crt, crt);
	ret->alone = alone && !ret->self_signed;
}

/* One of those that are sent with it; the first that is not valid counts. */
static void describe_issuer(gnutls_x509_crt_t crt, struct tls_certificate *ret)
{
	time_t first = gnutls_x509_crt_get_activation_time(crt);
	time_t last = gnutls_x509_crt_get_expiration_time(crt);
	time_t now = time(NULL);

	if (ret->issuer_expired || ret->issuer_early || tls_pair_is_root(crt))
		return;
	ret->issuer_expired = last != (time_t)-1 && now > last;
	ret->issuer_early = first != (time_t)-1 && now < first;
	set_day(ret->issuer_first, sizeof(ret->issuer_first), first);
	set_day(ret->issuer_last, sizeof(ret->issuer_last), last);
}

/* Those behind the first of the chain number `i`. */
static void look_at_issuers(
	gnutls_certificate_credentials_t set, unsigned i, struct tls_certificate *ret)
{
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX];
	gnutls_datum_t der;
	unsigned n = 0;
	uint32_t issuers;

	while (n < TLS_CHAIN_MAX &&
		gnutls_certificate_get_crt_raw(set, i, n, &der) >= 0 &&
		gnutls_x509_crt_init(&chain[n]) >= 0)
		if (gnutls_x509_crt_import(chain[n++], &der, GNUTLS_X509_FMT_DER) < 0)
			break;
	issuers = n ? tls_pair_issuers(chain, n) : 0;
	for (unsigned at = 0; at < n; at++)
		if (issuers & UINT32_C(1) << at)
			describe_issuer(chain[at], ret);
	while (n > 0)
		gnutls_x509_crt_deinit(chain[--n]);
}

static bool is_same(const gnutls_datum_t *a, const gnutls_datum_t *b)
{
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* The certificate of number `i`; whether its issuer's is sent with it is asked of the set. */
static void look_at(gnutls_certificate_credentials_t set, unsigned i,
	const gnutls_datum_t *der, const char *name, struct tls_certificate *ret)
{
	gnutls_datum_t issuer;
	gnutls_x509_crt_t crt;

	if (gnutls_x509_crt_init(&crt) < 0)
		return;
	if (gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0) {
		ret->keys |= kind_of_key(crt);
		if (!ret->curve)
			ret->curve = signature_of_curve(crt);
		if (name)
			describe(crt,
				gnutls_certificate_get_crt_raw(set, i, 1, &issuer) < 0,
				name, ret);
	}
	gnutls_x509_crt_deinit(crt);
}

void shown_certificate(
	gnutls_session_t session, const char *name, struct tls_certificate *ret)
{
	const gnutls_datum_t *shown = gnutls_certificate_get_ours(session);
	gnutls_certificate_credentials_t set;
	gnutls_datum_t der;
	void *found;

	if (gnutls_credentials_get(session, GNUTLS_CRD_CERTIFICATE, &found) < 0)
		return;
	set = found;
	for (unsigned i = 0; gnutls_certificate_get_crt_raw(set, i, 0, &der) >= 0; i++) {
		bool is_shown = shown ? is_same(shown, &der) : i == 0;

		look_at(set, i, &der, is_shown ? name : NULL, ret);
		if (is_shown)
			look_at_issuers(set, i, ret);
	}
}
