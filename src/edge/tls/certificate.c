/* SPDX-License-Identifier: ISC */
/*
 * The certificates of this host: pairs of certificate and key that are read from files,
 * and facts of certificates for `--check`, the explanation of a failure and the panel.
 * The public keys of certificate and key are compared here, at a tenth of the cost of
 * GnuTLS's own test (making and verifying a signature). Keys are in files without a
 * passphrase or, with a key agent, in tokens (PKCS #11).
 */
#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "edge/tls/parts.h"
#include "proto/tls-names.h"

#define SUBJECT_MAX 120 /* octets of an issuer's name in a fault */
#define KEY_ID_MAX 64 /* octets; today GnuTLS uses the 20 of SHA-1 */

struct key_id {
	unsigned char octets[KEY_ID_MAX];
	size_t n;
};

int tls_chain_read(const struct tls_settings *settings, const char *path,
	struct tls_pair_read *pair, struct tls_fault *fault)
{
	CLEANUP(tls_file_done) struct tls_file file = { 0 };
	unsigned int n = TLS_CHAIN_MAX;
	int r = tls_file_read(settings, path, &file);

	if (r < 0)
		return tls_fault_file(fault, "tls-certificate", path, r, &file);
	r = gnutls_x509_crt_list_import(pair->chain, &n,
		&(gnutls_datum_t){ file.data, (unsigned int)file.n }, GNUTLS_X509_FMT_PEM,
		0);
	if (r == GNUTLS_E_MEMORY_ERROR)
		return -ENOMEM;
	if (r < 0)
		return tls_fault_set(fault,
			"tls-certificate %s: holds no certificate in PEM that can be "
			"read (%s)",
			path, gnutls_strerror(r));
	pair->n_chain = (unsigned int)r;
	return 0;
}

static int put_key_fault(struct tls_fault *fault, const char *path, int r)
{
	if (r == GNUTLS_E_MEMORY_ERROR)
		return -ENOMEM;
	if (r == GNUTLS_E_DECRYPTION_FAILED)
		return tls_fault_set(fault,
			"tls-key %s: is encrypted; store it without a passphrase", path);
	return tls_fault_set(fault,
		"tls-key %s: holds no private key in PEM that can be read (%s)", path,
		gnutls_strerror(r));
}

static int read_key(const struct tls_settings *settings, const char *path,
	struct tls_pair_read *pair, struct tls_fault *fault)
{
	CLEANUP(tls_file_done) struct tls_file file = { 0 };
	int r;

	if (tls_is_token(path))
		return tls_token_open(path, &pair->token, fault);
	r = tls_file_read(settings, path, &file);
	if (r < 0)
		return tls_fault_file(fault, "tls-key", path, r, &file);
	r = gnutls_x509_privkey_init(&pair->key);
	if (r < 0)
		return -ENOMEM;
	r = gnutls_x509_privkey_import2(pair->key,
		&(gnutls_datum_t){ file.data, (unsigned int)file.n }, GNUTLS_X509_FMT_PEM,
		NULL, 0);
	if (r < 0)
		return put_key_fault(fault, path, r);
	return 0;
}

static bool get_key_id(const struct tls_pair_read *pair, struct key_id *ret)
{
	if (pair->token)
		return tls_token_id(pair->token, ret->octets, &ret->n);
	return gnutls_x509_privkey_get_key_id(pair->key, 0, ret->octets, &ret->n) >= 0;
}

static bool have_same_id(const struct tls_pair_read *pair)
{
	struct key_id leaf = { .n = KEY_ID_MAX }, key = { .n = KEY_ID_MAX };

	return gnutls_x509_crt_get_key_id(pair->chain[0], 0, leaf.octets, &leaf.n) >= 0 &&
	       get_key_id(pair, &key) && leaf.n == key.n &&
	       memcmp(leaf.octets, key.octets, key.n) == 0;
}

/* A public key on a curve. */
struct point {
	gnutls_ecc_curve_t curve;
	gnutls_datum_t x, y;
};

static void point_done(struct point *p)
{
	gnutls_free(p->x.data);
	gnutls_free(p->y.data);
}

static bool is_same(const gnutls_datum_t *a, const gnutls_datum_t *b)
{
	return a->size == b->size &&
	       (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/*
 * COST: 2.5 % of a TLS session's instructions with an ECDSA key (callgrind); without it:
 * the ids of both keys, which are hashes, are compared as for other keys. Also false when
 * one of them is not an ECDSA key.
 */
static bool have_same_point(const struct tls_pair_read *pair)
{
	CLEANUP(point_done) struct point leaf = { 0 };
	CLEANUP(point_done) struct point key = { 0 };

	return gnutls_x509_crt_get_pk_ecc_raw(
		       pair->chain[0], &leaf.curve, &leaf.x, &leaf.y) >= 0 &&
	       gnutls_x509_privkey_export_ecc_raw(
		       pair->key, &key.curve, &key.x, &key.y, NULL) >= 0 &&
	       leaf.curve == key.curve && leaf.x.size > 0 && is_same(&leaf.x, &key.x) &&
	       is_same(&leaf.y, &key.y);
}

static bool belong_together(const struct tls_pair_read *pair)
{
	if (pair->token)
		return have_same_id(pair);
	return gnutls_x509_privkey_get_pk_algorithm(pair->key) == GNUTLS_PK_ECDSA
		       ? have_same_point(pair)
		       : have_same_id(pair);
}

static int read_once(const struct tls_settings *settings, const struct tls_pair *files,
	struct tls_pair_read *ret, struct tls_fault *ret_fault)
{
	CLEANUP(tls_pair_done) struct tls_pair_read pair = { 0 };
	int r = tls_chain_read(settings, files->certificate, &pair, ret_fault);

	if (r < 0)
		return r;
	r = read_key(settings, files->key, &pair, ret_fault);
	if (r < 0)
		return r;
	if (!belong_together(&pair))
		return tls_fault_set(ret_fault,
			"tls-key %s: is the key of another certificate than %s (was only "
			"one of them replaced? or is its own certificate not the first?)",
			files->key, files->certificate);
	*ret = pair;
	pair = (struct tls_pair_read){ 0 };
	return 0;
}

int tls_pair_read(const struct tls_settings *settings, size_t number,
	struct tls_pair_read *ret, struct tls_fault *ret_fault)
{
	const struct tls_pair *files = &settings->pairs[number];
	int r = read_once(settings, files, ret, ret_fault);

	/*
	 * A pair may be read while it is being renewed, one file after the other. It is
	 * then read once more; but a token counts refused PINs.
	 */
	if (r == -EINVAL && !ret_fault->is_pin)
		r = read_once(settings, files, ret, ret_fault);
	return r;
}

void tls_pair_done(struct tls_pair_read *pair)
{
	for (unsigned int i = 0; i < pair->n_chain; i++)
		gnutls_x509_crt_deinit(pair->chain[i]);
	if (pair->key)
		gnutls_x509_privkey_deinit(pair->key);
	if (pair->token)
		gnutls_privkey_deinit(pair->token);
	*pair = (struct tls_pair_read){ 0 };
}

static bool issued(gnutls_x509_crt_t issuer, gnutls_x509_crt_t subject)
{
	gnutls_datum_t name = { NULL, 0 };
	gnutls_datum_t wanted = { NULL, 0 };
	bool same = gnutls_x509_crt_get_raw_dn(issuer, &name) >= 0 &&
		    gnutls_x509_crt_get_raw_issuer_dn(subject, &wanted) >= 0 &&
		    name.size == wanted.size &&
		    memcmp(name.data, wanted.data, name.size) == 0;

	gnutls_free(name.data);
	gnutls_free(wanted.data);
	return same;
}

/*
 * COST: the time of reading one certificate, for a chain of two or more; without it:
 * GnuTLS always sorts the chain, although nearly all chains are in order.
 */
static unsigned int sorting_for(const struct tls_pair_read *pair)
{
	for (unsigned int i = 0; i + 1 < pair->n_chain; i++)
		if (!issued(pair->chain[i + 1], pair->chain[i]))
			return GNUTLS_X509_CRT_LIST_SORT;
	return 0;
}

int tls_pair_add(const struct tls_pair_read *pair, gnutls_certificate_credentials_t set)
{
	/* An empty list of names, so that GnuTLS does not choose by names. */
	static const char *no_names[1];
	gnutls_pcert_st chain[TLS_CHAIN_MAX];
	unsigned int n = pair->n_chain;
	gnutls_privkey_t key;
	int r = tls_pair_copy_key(pair, &key);

	if (r < 0)
		return r;
	if (gnutls_pcert_import_x509_list(
		    chain, (gnutls_x509_crt_t *)pair->chain, &n, sorting_for(pair)) < 0) {
		gnutls_privkey_deinit(key);
		return -ENOMEM;
	}
	if (gnutls_certificate_set_key(set, no_names, 0, chain, (int)n, key) >= 0)
		return 0; /* the set now owns all of it */
	for (unsigned int i = 0; i < n; i++)
		gnutls_pcert_deinit(&chain[i]);
	gnutls_privkey_deinit(key);
	return -ENOMEM;
}

/* The time of validity of a certificate; -1: no such limit. */
struct validity {
	time_t first, last;
	bool expired, early;
};

static bool is_outside(const struct validity *v)
{
	return v->expired || v->early;
}

static struct validity validity_of(gnutls_x509_crt_t crt)
{
	time_t first = gnutls_x509_crt_get_activation_time(crt);
	time_t last = gnutls_x509_crt_get_expiration_time(crt);
	time_t now = time(NULL);

	return (struct validity){
		.first = first,
		.last = last,
		.expired = last != (time_t)-1 && now > last,
		.early = first != (time_t)-1 && now < first,
	};
}

/* True for a certificate whose issuer has the same name. */
static bool is_root(gnutls_x509_crt_t crt)
{
	return issued(crt, crt);
}

/* True when the issuer signed the subject; times are ignored. */
static bool has_signed(gnutls_x509_crt_t issuer, gnutls_x509_crt_t subject)
{
	const unsigned int flags = GNUTLS_VERIFY_DISABLE_TIME_CHECKS |
				   GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS |
				   GNUTLS_VERIFY_ALLOW_BROKEN |
				   GNUTLS_VERIFY_ALLOW_ANY_X509_V1_CA_CRT;
	unsigned int status = 0;

	return gnutls_x509_crt_verify(subject, &issuer, 1, flags, &status) >= 0 &&
	       !(status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNATURE_FAILURE));
}

/*
 * Finds the certificates of a chain that issued the first one, or another issuer: bit i
 * for number i. Signatures are verified, because a renewed authority keeps its name.
 * Roots are left out, because clients have roots of their own and do not check their
 * time.
 */
static uint32_t find_issuers(const gnutls_x509_crt_t *chain, unsigned int n)
{
	uint32_t found = 0;

	/* if several differ only in their times, the first one is sent */
	for (unsigned int subject = 0, i = 0; i < n && !is_root(chain[subject]);) {
		if (i == subject || (found & UINT32_C(1) << i) ||
			!issued(chain[i], chain[subject]) ||
			!has_signed(chain[i], chain[subject])) {
			i++;
			continue;
		}
		if (!is_root(chain[i]))
			found |= UINT32_C(1) << i;
		subject = i;
		i = 0;
	}
	return found;
}

static const char *put_time(time_t at, char *to, size_t n)
{
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(to, n, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		return "a day beyond the calendar";
	return to;
}

/* The facts of a chain, for the explanation of a failure and for the panel. */
struct facts {
	struct validity leaf;
	/* validity of the first issuer that is not valid, or zeros */
	struct validity issuer;
	time_t first, last; /* the time in which the leaf and all its issuers are valid */
	bool self_signed, misnamed;
};

/*
 * Returns the facts of a chain. `name` is the name that the leaf should cover, or NULL.
 */
static struct facts facts_of(
	const gnutls_x509_crt_t *chain, unsigned int n, const char *name)
{
	const struct validity leaf = validity_of(chain[0]);
	uint32_t issuers = find_issuers(chain, n);
	struct facts f = {
		.leaf = leaf,
		.first = leaf.first,
		.last = leaf.last,
		.self_signed = gnutls_x509_crt_check_issuer(chain[0], chain[0]),
		.misnamed = name && !tls_covers(chain[0], name),
	};

	for (; issuers; issuers &= issuers - 1) {
		const struct validity v = validity_of(chain[__builtin_ctz(issuers)]);

		if (!is_outside(&f.issuer) && is_outside(&v))
			f.issuer = v;
		f.first = v.first > f.first ? v.first : f.first;
		f.last = v.last < f.last ? v.last : f.last;
	}
	return f;
}

/* Appends the name of certificate `i` of the file, unless it is the first. */
static void put_which(
	const struct tls_pair_read *pair, unsigned int i, bool is_issuer, struct buf *to)
{
	char name[SUBJECT_MAX];
	size_t n = sizeof(name);

	if (i > 0) {
		buf_put(to, is_issuer ? SPAN("the certificate of the issuer ")
				      : SPAN("the certificate of "));
		buf_put_str(to, gnutls_x509_crt_get_dn(pair->chain[i], name, &n) < 0
					? "(without a name)"
					: name);
		buf_put_char(to, ' ');
	}
	buf_terminate(to);
}

static void report_time(const struct tls_pair_read *pair, unsigned int i,
	const struct tls_pair *files, const struct tls_report *report)
{
	const struct validity v = validity_of(pair->chain[i]);
	const char *cure = v.expired ? "it is used nevertheless, renew it"
				     : "it is used nevertheless, check the clock";
	char text[64], which[SUBJECT_MAX + 64] = "";
	struct buf b = BUF(which);
	struct tls_fault fault;
	bool is_issuer;

	if (!is_outside(&v) || (i > 0 && is_root(pair->chain[i])))
		return;
	is_issuer = find_issuers(pair->chain, pair->n_chain) & UINT32_C(1) << i;
	if (i > 0 && !is_issuer)
		cure = "it is no issuer of the first one, take it out of the file";
	put_which(pair, i, is_issuer, &b);
	tls_fault_set(&fault, "tls-certificate %s: %s%s %s; %s", files->certificate,
		which, v.expired ? "expired on" : "is not valid before",
		put_time(v.expired ? v.last : v.first, text, sizeof(text)), cure);
	tls_fault_report(&fault, report);
}

void tls_pair_report_time(const struct tls_pair_read *pair, const struct tls_pair *files,
	const struct tls_report *report)
{
	for (unsigned int i = 0; i < pair->n_chain; i++)
		report_time(pair, i, files, report);
}

/* Lists the DNS names, separated by ", ", as many as fit. */
static void put_names(gnutls_x509_crt_t crt, struct tls_description *ret)
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

static void put_key(gnutls_x509_crt_t crt, struct tls_description *ret)
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

/*
 * Describes a certificate. No key is needed, so a process that can read only the
 * certificate can show it.
 */
static int describe(const struct tls_settings *settings, struct tls_description *ret)
{
	CLEANUP(tls_pair_done) struct tls_pair_read pair = { 0 };
	struct tls_fault unused;
	size_t n = sizeof(ret->subject);
	struct facts f;
	int r = tls_chain_read(settings, ret->file, &pair, &unused);

	if (r < 0)
		return r;
	f = facts_of(pair.chain, pair.n_chain, settings->hostname);
	if (gnutls_x509_crt_get_dn(pair.chain[0], ret->subject, &n) < 0)
		ret->subject[0] = '\0';
	put_names(pair.chain[0], ret);
	put_key(pair.chain[0], ret);
	ret->first = f.first;
	ret->last = f.last;
	ret->by_issuer = f.first > f.leaf.first || f.last < f.leaf.last;
	ret->self_signed = f.self_signed;
	ret->misnamed = f.misnamed;
	return 0;
}

void tls_describe(const struct tls_settings *settings,
	void (*take)(void *ctx, const struct tls_description *description), void *ctx)
{
	for (size_t i = 0; i < settings->n_pairs && i < TLS_PAIR_MAX; i++) {
		struct tls_description description = {
			.file = settings->pairs[i].certificate,
		};
		if (describe(settings, &description) >= 0)
			take(ctx, &description);
	}
}

static enum tls_key kind_of_curve(gnutls_x509_crt_t crt)
{
	CLEANUP(point_done) struct point p = { .curve = GNUTLS_ECC_CURVE_INVALID };

	gnutls_x509_crt_get_pk_ecc_raw(crt, &p.curve, &p.x, &p.y);
	switch (p.curve) {
	case GNUTLS_ECC_CURVE_SECP256R1:
		return TLS_KEY_P256;
	case GNUTLS_ECC_CURVE_SECP384R1:
		return TLS_KEY_P384;
	case GNUTLS_ECC_CURVE_SECP521R1:
		return TLS_KEY_P521;
	default:
		return TLS_KEY_CURVE;
	}
}

static unsigned kind_of_key(gnutls_x509_crt_t crt)
{
	switch (gnutls_x509_crt_get_pk_algorithm(crt, NULL)) {
	case GNUTLS_PK_RSA:
		return TLS_KEY_RSA;
	case GNUTLS_PK_RSA_PSS:
		return TLS_KEY_RSA_PSS;
	case GNUTLS_PK_ECDSA:
		return kind_of_curve(crt);
	case GNUTLS_PK_EDDSA_ED25519:
		return TLS_KEY_ED25519;
	case GNUTLS_PK_EDDSA_ED448:
		return TLS_KEY_ED448;
	default:
		return 0;
	}
}

static void set_day(char *to, size_t n, time_t at)
{
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(to, n, "%Y-%m-%d", &tm) == 0)
		snprintf(to, n, "far future");
}

/* Imports the first `most` certificates of chain `i`. Returns their number. */
static unsigned int import_chain(gnutls_certificate_credentials_t set, unsigned int i,
	unsigned int most, gnutls_x509_crt_t *chain)
{
	gnutls_datum_t der;
	unsigned int n = 0;

	while (n < most && gnutls_certificate_get_crt_raw(set, i, n, &der) >= 0 &&
		gnutls_x509_crt_init(&chain[n]) >= 0) {
		if (gnutls_x509_crt_import(chain[n], &der, GNUTLS_X509_FMT_DER) < 0) {
			gnutls_x509_crt_deinit(chain[n]);
			break;
		}
		n++;
	}
	return n;
}

/*
 * Adds the facts of the chain that was sent. `alone`: no other certificate was sent with
 * it.
 */
static void explain_shown(const gnutls_x509_crt_t *chain, unsigned int n, bool alone,
	const char *name, struct tls_certificate *ret)
{
	const struct facts f = facts_of(chain, n, *name ? name : NULL);

	ret->known = true;
	ret->key = kind_of_key(chain[0]);
	ret->expired = f.leaf.expired;
	ret->early = f.leaf.early;
	set_day(ret->first, sizeof(ret->first), f.leaf.first);
	set_day(ret->last, sizeof(ret->last), f.leaf.last);
	ret->issuer_expired = f.issuer.expired;
	ret->issuer_early = f.issuer.early;
	set_day(ret->issuer_first, sizeof(ret->issuer_first), f.issuer.first);
	set_day(ret->issuer_last, sizeof(ret->issuer_last), f.issuer.last);
	ret->misnamed = f.misnamed;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->self_signed = f.self_signed;
	ret->alone = alone && !f.self_signed;
}

static void explain(gnutls_certificate_credentials_t set, unsigned int i, bool is_shown,
	const char *name, struct tls_certificate *ret)
{
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX];
	unsigned int n = import_chain(set, i, is_shown ? TLS_CHAIN_MAX : 1, chain);
	gnutls_datum_t second;

	if (n > 0) {
		ret->keys |= kind_of_key(chain[0]);
		if (is_shown)
			explain_shown(chain, n,
				gnutls_certificate_get_crt_raw(set, i, 1, &second) < 0,
				name, ret);
	}
	while (n > 0)
		gnutls_x509_crt_deinit(chain[--n]);
}

void tls_facts_of_certificate(
	gnutls_session_t session, const char *name, struct tls_certificate *ret)
{
	const gnutls_datum_t *shown = gnutls_certificate_get_ours(session);
	gnutls_certificate_credentials_t set;
	gnutls_datum_t der;
	void *found;

	if (gnutls_credentials_get(session, GNUTLS_CRD_CERTIFICATE, &found) < 0)
		return;
	set = found;
	for (unsigned int i = 0; gnutls_certificate_get_crt_raw(set, i, 0, &der) >= 0;
		i++)
		explain(set, i, shown ? is_same(shown, &der) : i == 0, name, ret);
}
