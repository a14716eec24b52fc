/*
 * Reads a certificate and its key. Promises that a pair which is handed over belongs
 * together: the public keys are compared here, at a tenth of what GnuTLS's own test (a
 * signature, verified) costs. Refuses to know which names it is for, and anything but
 * files: no PKCS#11, no TPM, no passphrases.
 */
#include "edge/tls/pair.h"

#include <errno.h>
#include <string.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "edge/tls/file.h"

#define SUBJECT_MAX 120 /* of an issuer, in a fault */
#define KEY_ID_MAX 64 /* SHA-1's 20 octets today */

struct key_id {
	unsigned char octets[KEY_ID_MAX];
	size_t n;
};

static int read_chain(const struct tls_settings *settings, const char *path,
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

static int say_key(struct tls_fault *fault, const char *path, int r)
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
	int r = tls_file_read(settings, path, &file);

	if (r < 0)
		return tls_fault_file(fault, "tls-key", path, r, &file);
	r = gnutls_x509_privkey_init(&pair->key);
	if (r < 0)
		return -ENOMEM;
	r = gnutls_x509_privkey_import2(pair->key,
		&(gnutls_datum_t){ file.data, (unsigned int)file.n }, GNUTLS_X509_FMT_PEM,
		NULL, 0);
	if (r < 0)
		return say_key(fault, path, r);
	return 0;
}

static bool key_id_of_leaf(const struct tls_pair_read *pair, struct key_id *ret)
{
	ret->n = sizeof(ret->octets);
	return gnutls_x509_crt_get_key_id(pair->chain[0], 0, ret->octets, &ret->n) >= 0;
}

static bool key_id_of_key(const struct tls_pair_read *pair, struct key_id *ret)
{
	ret->n = sizeof(ret->octets);
	return gnutls_x509_privkey_get_key_id(pair->key, 0, ret->octets, &ret->n) >= 0;
}

static bool have_same_id(const struct tls_pair_read *pair)
{
	struct key_id leaf;
	struct key_id key;

	return key_id_of_leaf(pair, &leaf) && key_id_of_key(pair, &key) &&
	       leaf.n == key.n && memcmp(leaf.octets, key.octets, key.n) == 0;
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

/* False, too, when one of them is no such key. */
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

/* The id is a hash of the public key; a point is compared at a third of what making two of them costs. */
static bool belong_together(const struct tls_pair_read *pair)
{
	return gnutls_x509_privkey_get_pk_algorithm(pair->key) == GNUTLS_PK_ECDSA
		       ? have_same_point(pair)
		       : have_same_id(pair);
}

static int read_once(const struct tls_settings *settings, const struct tls_pair *files,
	struct tls_pair_read *ret, struct tls_fault *ret_fault)
{
	CLEANUP(tls_pair_done) struct tls_pair_read pair = { 0 };
	int r = read_chain(settings, files->certificate, &pair, ret_fault);

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

int tls_pair_read(const struct tls_settings *settings, const struct tls_pair *files,
	struct tls_pair_read *ret, struct tls_fault *ret_fault)
{
	int r = read_once(settings, files, ret, ret_fault);

	/*
	 * Whoever renews a pair replaces one file after the other: look again before it
	 * is believed.
	 */
	if (r == -EINVAL)
		r = read_once(settings, files, ret, ret_fault);
	return r;
}

void tls_pair_done(struct tls_pair_read *pair)
{
	for (unsigned int i = 0; i < pair->n_chain; i++)
		gnutls_x509_crt_deinit(pair->chain[i]);
	if (pair->key)
		gnutls_x509_privkey_deinit(pair->key);
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
 * Nearly every chain is in order; GnuTLS's sorting of it costs as much as reading one
 * certificate.
 */
static unsigned int sorting_for(const struct tls_pair_read *pair)
{
	for (unsigned int i = 0; i + 1 < pair->n_chain; i++)
		if (!issued(pair->chain[i + 1], pair->chain[i]))
			return GNUTLS_X509_CRT_LIST_SORT;
	return 0;
}

static int copy_key(const struct tls_pair_read *pair, gnutls_privkey_t *ret)
{
	gnutls_privkey_t key;

	if (gnutls_privkey_init(&key) < 0)
		return -ENOMEM;
	if (gnutls_privkey_import_x509(key, pair->key, GNUTLS_PRIVKEY_IMPORT_COPY) < 0) {
		gnutls_privkey_deinit(key);
		return -ENOMEM;
	}
	*ret = key;
	return 0;
}

int tls_pair_add(const struct tls_pair_read *pair, gnutls_certificate_credentials_t set)
{
	/* No names: GnuTLS is not to choose by them. */
	static const char *no_names[1];
	gnutls_pcert_st chain[TLS_CHAIN_MAX];
	unsigned int n = pair->n_chain;
	gnutls_privkey_t key;
	int r = copy_key(pair, &key);

	if (r < 0)
		return r;
	if (gnutls_pcert_import_x509_list(
		    chain, (gnutls_x509_crt_t *)pair->chain, &n, sorting_for(pair)) < 0) {
		gnutls_privkey_deinit(key);
		return -ENOMEM;
	}
	if (gnutls_certificate_set_key(set, no_names, 0, chain, (int)n, key) >= 0)
		return 0; /* all of it is the set's now */
	for (unsigned int i = 0; i < n; i++)
		gnutls_pcert_deinit(&chain[i]);
	gnutls_privkey_deinit(key);
	return -ENOMEM;
}

static const char *say_day(time_t at, char *to, size_t n)
{
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(to, n, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		return "a day beyond the calendar";
	return to;
}

/* Whatever the days of both. */
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

uint32_t tls_pair_issuers(const gnutls_x509_crt_t *list, unsigned int n)
{
	uint32_t found = 0;

	/* the first of them is the one that is sent, where several are the same but for their days */
	for (unsigned int subject = 0, i = 0;
		i < n && !tls_pair_is_root(list[subject]);) {
		if (i == subject || (found & UINT32_C(1) << i) ||
			!issued(list[i], list[subject]) ||
			!has_signed(list[i], list[subject])) {
			i++;
			continue;
		}
		found |= UINT32_C(1) << i;
		subject = i;
		i = 0;
	}
	return found;
}

/* What the file has in its place number `i`, as words of a sentence. */
static void say_which(
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

bool tls_pair_is_root(gnutls_x509_crt_t crt)
{
	return issued(crt, crt);
}

int tls_pair_in_time(const struct tls_pair_read *pair, unsigned int i,
	const struct tls_pair *files, time_t now, struct tls_fault *ret_fault)
{
	time_t first = gnutls_x509_crt_get_activation_time(pair->chain[i]);
	time_t last = gnutls_x509_crt_get_expiration_time(pair->chain[i]);
	char day[64], which[SUBJECT_MAX + 64] = "";
	struct buf b = BUF(which);
	bool is_issuer;

	/* clients have the roots that they trust, and do not ask how old they are */
	if (i > 0 && tls_pair_is_root(pair->chain[i]))
		return 0;
	if ((last == (time_t)-1 || now <= last) && (first == (time_t)-1 || now >= first))
		return 0;
	is_issuer = tls_pair_issuers(pair->chain, pair->n_chain) & UINT32_C(1) << i;
	say_which(pair, i, is_issuer, &b);
	if (i > 0 && !is_issuer)
		return tls_fault_set(ret_fault,
			"tls-certificate %s: %s%s %s; it is no issuer of the first one, "
			"take it out of the file",
			files->certificate, which,
			last != (time_t)-1 && now > last ? "expired on"
							 : "is not valid before",
			say_day(last != (time_t)-1 && now > last ? last : first, day,
				sizeof(day)));
	if (last != (time_t)-1 && now > last)
		return tls_fault_set(ret_fault,
			"tls-certificate %s: %sexpired on %s; it is used all the same, "
			"renew it",
			files->certificate, which, say_day(last, day, sizeof(day)));
	return tls_fault_set(ret_fault,
		"tls-certificate %s: %sis not valid before %s; it is used all "
		"the same, check the "
		"clock",
		files->certificate, which, say_day(first, day, sizeof(day)));
}
