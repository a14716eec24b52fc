/*
 * What certificates say of themselves, for the panel. Promises to need no key, so that whoever may read the
 * certificate alone is shown it. Refuses to judge: check() does.
 */
#include "edge/tls/credentials.h"

#include <string.h>
#include "base/cleanup.h"
#include "edge/tls/file.h"
#include "edge/tls/pair.h"

/* The DNS names, divided by ", ", as many as there is room for. */
static void tell_names(gnutls_x509_crt_t crt, struct tls_description *ret)
{
	struct buf b = BUF(ret->names);
	char name[TLS_NAME_TEXT];

	for (unsigned int i = 0;; i++) {
		size_t n = sizeof(name);
		int r = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &n, NULL);

		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (r != GNUTLS_SAN_DNSNAME || buf_room(&b) < n + 3)
			continue;
		if (b.n)
			buf_put(&b, SPAN(", "));
		buf_put(&b, (struct span){ name, n });
	}
	buf_terminate(&b);
}

static void tell_key(gnutls_x509_crt_t crt, struct tls_description *ret)
{
	unsigned int bits = 0;
	int kind = gnutls_x509_crt_get_pk_algorithm(crt, &bits);
	const char *name = gnutls_pk_get_name((gnutls_pk_algorithm_t)kind);
	struct buf b = BUF(ret->key);

	buf_put_str(&b, kind == GNUTLS_PK_ECDSA ? "ECDSA" : name ? name : "unknown");
	if (kind == GNUTLS_PK_RSA || kind == GNUTLS_PK_ECDSA) {
		buf_put_char(&b, ' ');
		buf_put_num(&b, bits);
	}
	buf_terminate(&b);
}

static void tell(gnutls_x509_crt_t crt, const char *hostname, struct tls_description *ret)
{
	size_t n = sizeof(ret->subject);

	if (gnutls_x509_crt_get_dn(crt, ret->subject, &n) < 0)
		ret->subject[0] = '\0';
	tell_names(crt, ret);
	tell_key(crt, ret);
	ret->first = gnutls_x509_crt_get_activation_time(crt);
	ret->last = gnutls_x509_crt_get_expiration_time(crt);
	ret->self_signed = gnutls_x509_crt_check_issuer(crt, crt);
	ret->misnamed = hostname && !gnutls_x509_crt_check_hostname(crt, hostname);
}

/* A chain is valid while all of it is; clients have the root. */
static void tell_issuer(gnutls_x509_crt_t crt, struct tls_description *ret)
{
	int64_t first = gnutls_x509_crt_get_activation_time(crt);
	int64_t last = gnutls_x509_crt_get_expiration_time(crt);

	if (tls_pair_is_root(crt))
		return;
	ret->by_issuer |= first > ret->first || last < ret->last;
	if (first > ret->first)
		ret->first = first;
	if (last < ret->last)
		ret->last = last;
}

/* 0, or a negative number: then *ret has nothing but its file. */
static int read_chain(const struct tls_settings *settings, const char *path,
	struct tls_description *ret)
{
	CLEANUP(tls_file_done) struct tls_file file = { 0 };
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX];
	unsigned int n = TLS_CHAIN_MAX;
	uint32_t issuers = 0;
	int r = tls_file_read(settings, path, &file);

	if (r >= 0)
		r = gnutls_x509_crt_list_import(chain, &n,
			&(gnutls_datum_t){ file.data, (unsigned int)file.n },
			GNUTLS_X509_FMT_PEM, 0);
	if (r > 0) {
		tell(chain[0], settings->hostname, ret);
		issuers = tls_pair_issuers(chain, (unsigned int)r);
	}
	for (int i = 0; i < r; i++)
		if (issuers & UINT32_C(1) << i)
			tell_issuer(chain[i], ret);
	for (int i = 0; i < r; i++)
		gnutls_x509_crt_deinit(chain[i]);
	return r;
}

void tls_credentials_describe(const struct tls_settings *settings,
	void (*tell_of)(void *ctx, const struct tls_description *description), void *ctx)
{
	for (size_t i = 0; i < settings->n_pairs && i < TLS_PAIR_MAX; i++) {
		struct tls_description description = {
			.file = settings->pairs[i].certificate,
		};
		if (read_chain(settings, description.file, &description) >= 0)
			tell_of(ctx, &description);
	}
}
