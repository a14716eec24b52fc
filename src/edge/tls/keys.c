/* SPDX-License-Identifier: ISC */
/*
 * Private keys in another process: what the key agent does with its keys, and how a
 * process without keys uses them. The value that GnuTLS wants signed is sent to the agent
 * unchanged: a hash; for RSA with PKCS #1 a DigestInfo (RFC 8017 9.2); for Ed25519 and
 * Ed448 the whole text. The agent signs only such values, of the right length, by an
 * algorithm of the key. It never decrypts.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "edge/keys/keys.h"
#include "edge/tls/parts.h"

#define LENGTH_OCTETS 3 /* octets of the length before each certificate, as in TLS */
#define LEGACY_HASH 36 /* octets of MD5 and SHA-1, before TLS 1.2 */

/* The keys of an agent. */
struct tls_keys {
	size_t n;
	struct tls_own_key {
		gnutls_privkey_t key; /* NULL: `octets` is the text of a fault */
		bool is_token, is_pin; /* the key is in a token; the fault is its PIN */
		int kind; /* gnutls_pk_algorithm_t */
		unsigned char *octets; /* the chain as it is sent, or a fault */
		size_t n;
	} list[TLS_PAIR_MAX];
};

static int add_certificate(struct tls_own_key *k, gnutls_x509_crt_t crt)
{
	gnutls_datum_t der = { NULL, 0 };
	unsigned char *longer = NULL;

	if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der) < 0)
		return -ENOMEM;
	if (k->n + LENGTH_OCTETS + der.size <= KEYS_CHAIN_MAX)
		longer = realloc(k->octets, k->n + LENGTH_OCTETS + der.size);
	if (longer) {
		k->octets = longer;
		longer += k->n;
		longer[0] = (unsigned char)(der.size >> 16);
		longer[1] = (unsigned char)(der.size >> 8);
		longer[2] = (unsigned char)der.size;
		memcpy(longer + LENGTH_OCTETS, der.data, der.size);
		k->n += LENGTH_OCTETS + der.size;
	}
	gnutls_free(der.data);
	return longer ? 0 : -ENOMEM;
}

static int keep_fault(struct tls_own_key *k, const struct tls_fault *fault)
{
	free(k->octets);
	k->octets = (unsigned char *)strdup(fault->text);
	k->n = k->octets ? strlen(fault->text) : 0;
	k->is_pin = fault->is_pin;
	return k->octets ? 0 : -ENOMEM;
}

/* Keeps the key; that of a token is moved out of the pair. */
static int keep_key(struct tls_own_key *k, struct tls_pair_read *pair)
{
	if (!pair->token)
		return tls_pair_copy_key(pair, &k->key);
	k->key = pair->token;
	k->is_token = true;
	pair->token = NULL;
	return 0;
}

static int keep_pair(
	struct tls_own_key *k, const struct tls_pair *files, struct tls_pair_read *pair)
{
	struct tls_fault fault = { .text = "" };
	int r = 0;

	for (unsigned int i = 0; i < pair->n_chain && r == 0; i++)
		r = add_certificate(k, pair->chain[i]);
	if (r == 0)
		return keep_key(k, pair);
	tls_fault_set(&fault,
		"tls-certificate %s: has more than %d octets, or memory is short",
		files->certificate, KEYS_CHAIN_MAX);
	return keep_fault(k, &fault);
}

int tls_keys_load(const struct tls_settings *settings, struct tls_keys **ret)
{
	struct tls_keys *keys = calloc(1, sizeof(*keys));
	int r = 0;

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < settings->n_pairs && i < TLS_PAIR_MAX && r == 0; i++) {
		CLEANUP(tls_pair_done) struct tls_pair_read pair = { 0 };
		struct tls_own_key *k = &keys->list[i];
		struct tls_fault fault;

		r = tls_pair_read(settings, i, &pair, &fault);
		if (r == 0)
			r = keep_pair(k, &settings->pairs[i], &pair);
		else if (r == -EINVAL)
			r = keep_fault(k, &fault);
		if (k->key)
			k->kind = gnutls_privkey_get_pk_algorithm(k->key, NULL);
		keys->n++;
	}
	/* when memory is short, the process ends */
	*ret = keys;
	return r;
}

/*
 * True for a text that a server signs in a handshake: in TLS 1.3 (RFC 8446 4.4.3) 64
 * blanks, a context and the hash of the transcript; in TLS 1.2 (RFC 8422 5.4) two random
 * numbers of 32 octets, and a point on a named curve.
 */
static bool is_of_handshake(const unsigned char *text, size_t n)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";
	const size_t blanks = 64;

	if (n > blanks + sizeof(context) &&
		memcmp(text + blanks, context, sizeof(context)) == 0) {
		for (size_t i = 0; i < blanks; i++)
			if (text[i] != ' ')
				return false;
		n -= blanks + sizeof(context);
		return n == 32 || n == 48;
	}
	return n > blanks + 4 && text[blanks] == 3 && n == blanks + 4 + text[blanks + 3];
}

static size_t length_of(gnutls_digest_algorithm_t digest)
{
	return (size_t)gnutls_hash_get_len(digest);
}

/*
 * Signs by RSA with PKCS #1. The hash is extracted from its DigestInfo and put into a new
 * one.
 */
static int sign_digest_info(
	const struct tls_own_key *k, const gnutls_datum_t *info, gnutls_datum_t *ret)
{
	unsigned char octets[KEYS_OCTETS_MAX];
	gnutls_datum_t hash = { octets, sizeof(octets) };
	gnutls_digest_algorithm_t digest;

	if (k->kind != GNUTLS_PK_RSA)
		return GNUTLS_E_INVALID_REQUEST;
	if (info->size == LEGACY_HASH)
		return gnutls_privkey_sign_hash(k->key, GNUTLS_DIG_MD5_SHA1,
			GNUTLS_PRIVKEY_SIGN_FLAG_TLS1_RSA, info, ret);
	if (gnutls_decode_ber_digest_info(info, &digest, octets, &hash.size) < 0 ||
		hash.size != length_of(digest))
		return GNUTLS_E_INVALID_REQUEST;
	return gnutls_privkey_sign_hash2(
		k->key, gnutls_pk_to_sign(GNUTLS_PK_RSA, digest), 0, &hash, ret);
}

static int sign(const struct tls_own_key *k, const struct keys_request *request,
	gnutls_datum_t *ret)
{
	gnutls_sign_algorithm_t algorithm = (gnutls_sign_algorithm_t)request->algorithm;
	const gnutls_datum_t octets = { (unsigned char *)request->octets, request->n };
	gnutls_digest_algorithm_t digest;

	if (algorithm == GNUTLS_SIGN_RSA_RAW)
		return sign_digest_info(k, &octets, ret);
	if (gnutls_sign_get_name(algorithm) == NULL ||
		!gnutls_sign_supports_pk_algorithm(
			algorithm, (gnutls_pk_algorithm_t)k->kind))
		return GNUTLS_E_INVALID_REQUEST;
	if (algorithm == GNUTLS_SIGN_EDDSA_ED25519 ||
		algorithm == GNUTLS_SIGN_EDDSA_ED448)
		return is_of_handshake(octets.data, octets.size)
			       ? gnutls_privkey_sign_data2(
					 k->key, algorithm, 0, &octets, ret)
			       : GNUTLS_E_INVALID_REQUEST;
	digest = gnutls_sign_get_hash_algorithm(algorithm);
	if (octets.size == 0 || octets.size != length_of(digest))
		return GNUTLS_E_INVALID_REQUEST;
	return gnutls_privkey_sign_hash2(k->key, algorithm, 0, &octets, ret);
}

static void put_answer(struct keys_answer *ret, enum keys_result result,
	const unsigned char *octets, size_t n)
{
	ret->header = (struct keys_header){ result, (uint32_t)n };
	if (n)
		memcpy(ret->octets, octets, n);
}

static void put_chain(struct keys_answer *ret, const struct tls_own_key *k)
{
	put_answer(ret,
		k->key      ? KEYS_FINE
		: k->is_pin ? KEYS_PIN_REFUSED
			    : KEYS_FAULT,
		k->octets, k->n);
}

/*
 * True for the error of a token that is gone, or was for a moment: its sessions and
 * objects are then invalid. Other errors are those of one algorithm.
 */
static bool is_loss(int error)
{
	switch (error) {
	case GNUTLS_E_PKCS11_ERROR:
	case GNUTLS_E_PKCS11_DATA_ERROR: /* the object has gone */
	case GNUTLS_E_PKCS11_DEVICE_ERROR:
	case GNUTLS_E_PKCS11_KEY_ERROR:
	case GNUTLS_E_PKCS11_PIN_ERROR:
	case GNUTLS_E_PKCS11_SESSION_ERROR:
	case GNUTLS_E_PKCS11_SLOT_ERROR:
	case GNUTLS_E_PKCS11_TOKEN_ERROR:
	case GNUTLS_E_PKCS11_USER_ERROR:
	case GNUTLS_E_PKCS11_REQUESTED_OBJECT_NOT_AVAILBLE:
		return true;
	default:
		return false;
	}
}

bool tls_keys_answer(const struct tls_keys *keys, const struct keys_request *request,
	struct keys_answer *ret)
{
	const struct tls_own_key *k;
	gnutls_datum_t signature = { NULL, 0 };
	int r;

	put_answer(ret, KEYS_REFUSED, NULL, 0);
	if (request->pair >= keys->n)
		return true;
	k = &keys->list[request->pair];
	if (request->operation == KEYS_CHAIN)
		put_chain(ret, k);
	if (request->operation != KEYS_SIGN || !k->key)
		return true;
	r = sign(k, request, &signature);
	if (r < 0 && r != GNUTLS_E_INVALID_REQUEST && k->is_token)
		put_answer(ret, KEYS_FAULT, NULL, 0);
	if (r < 0)
		return !k->is_token || !is_loss(r);
	if (signature.size <= KEYS_SIGNATURE_MAX)
		put_answer(ret, KEYS_FINE, signature.data, signature.size);
	gnutls_free(signature.data);
	return true;
}

static int parse_chain(const unsigned char *octets, size_t n, struct tls_pair_read *ret)
{
	while (n > LENGTH_OCTETS && ret->n_chain < TLS_CHAIN_MAX) {
		unsigned int size = (unsigned int)octets[0] << 16 |
				    (unsigned int)octets[1] << 8 | octets[2];
		gnutls_datum_t der = { (unsigned char *)octets + LENGTH_OCTETS, size };
		gnutls_x509_crt_t *crt = &ret->chain[ret->n_chain];

		if (size > n - LENGTH_OCTETS || gnutls_x509_crt_init(crt) < 0)
			return -ENOMEM;
		ret->n_chain++;
		if (gnutls_x509_crt_import(*crt, &der, GNUTLS_X509_FMT_DER) < 0)
			return -ENOMEM;
		octets += LENGTH_OCTETS + size;
		n -= LENGTH_OCTETS + size;
	}
	return n == 0 && ret->n_chain ? 0 : -EINVAL;
}

int tls_pair_fetch(const struct tls_settings *settings, size_t number,
	struct tls_pair_read *ret, struct tls_fault *ret_fault)
{
	const struct keys_request request = { .operation = KEYS_CHAIN,
		.pair = (uint32_t)number };
	CLEANUP(tls_pair_done) struct tls_pair_read pair = { 0 };
	OWNED unsigned char *octets = malloc(KEYS_CHAIN_MAX);
	enum keys_result result;
	ssize_t n;

	if (!octets)
		return -ENOMEM;
	n = keys_ask(settings->keys, &request, &result, octets, KEYS_CHAIN_MAX);
	if (n < 0)
		return tls_fault_set(ret_fault, "tls-key %s: %s",
			settings->pairs[number].key, keys_error((int)n));
	if (result != KEYS_FINE) {
		tls_fault_set(ret_fault, "%.*s",
			(int)(n < TLS_FAULT_TEXT ? n : TLS_FAULT_TEXT - 1), octets);
		ret_fault->is_pin = result == KEYS_PIN_REFUSED;
		return -EINVAL;
	}
	if (parse_chain(octets, (size_t)n, &pair) < 0)
		return -ENOMEM;
	*ret = pair;
	pair = (struct tls_pair_read){ 0 };
	return 0;
}

static const char *token_cure(int error)
{
	if (error == GNUTLS_E_PKCS11_PIN_ERROR)
		return "; name a file by ?pin-source=/PATH that has the PIN and nothing "
		       "else, no end of a line either";
	return "; p11tool says more";
}

int tls_token_open(const char *url, gnutls_privkey_t *ret, struct tls_fault *fault)
{
	int r = gnutls_privkey_init(ret);

	if (r >= 0)
		r = gnutls_privkey_import_url(*ret, url, 0);
	if (r == GNUTLS_E_MEMORY_ERROR)
		return -ENOMEM;
	if (r >= 0)
		return 0;
	tls_fault_set(fault, "tls-key %s: the token gives no private key (%s)%s", url,
		gnutls_strerror(r), token_cure(r));
	fault->is_pin = r == GNUTLS_E_PKCS11_PIN_ERROR || r == GNUTLS_E_PKCS11_PIN_LOCKED;
	return -EINVAL;
}

bool tls_token_id(gnutls_privkey_t token, unsigned char *to, size_t *n)
{
	gnutls_pubkey_t key;
	bool done;

	if (gnutls_pubkey_init(&key) < 0)
		return false;
	done = gnutls_pubkey_import_privkey(key, token, 0, 0) >= 0 &&
	       gnutls_pubkey_get_key_id(key, 0, to, n) >= 0;
	gnutls_pubkey_deinit(key);
	return done;
}

/* The functions that GnuTLS calls for a key in the agent. */

static int ask_to_sign(struct tls_remote_key *k, gnutls_sign_algorithm_t algorithm,
	const gnutls_datum_t *octets, gnutls_datum_t *ret)
{
	struct keys_request request = { .operation = KEYS_SIGN,
		.pair = (uint32_t)k->number,
		.algorithm = algorithm,
		.n = octets->size };
	enum keys_result result;
	ssize_t n;

	if (octets->size > sizeof(request.octets))
		return GNUTLS_E_PK_SIGN_FAILED;
	memcpy(request.octets, octets->data, octets->size);
	ret->data = gnutls_malloc(KEYS_SIGNATURE_MAX);
	if (!ret->data)
		return GNUTLS_E_MEMORY_ERROR;
	n = keys_ask(k->keys, &request, &result, ret->data, KEYS_SIGNATURE_MAX);
	if (n > 0 && result == KEYS_FINE) {
		ret->size = (unsigned int)n;
		return 0;
	}
	k->error = n < 0 ? (int)n : result == KEYS_FAULT ? -EIO : -ECONNRESET;
	gnutls_free(ret->data);
	return GNUTLS_E_PK_SIGN_FAILED;
}

static int sign_octets(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm,
	void *userdata, unsigned int flags, const gnutls_datum_t *octets,
	gnutls_datum_t *ret)
{
	(void)key, (void)flags;
	return ask_to_sign(userdata, algorithm, octets, ret);
}

static int get_info(gnutls_privkey_t key, unsigned int flags, void *userdata)
{
	const struct tls_remote_key *k = userdata;

	(void)key;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return k->kind;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return (int)k->bits;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return gnutls_sign_supports_pk_algorithm(
			GNUTLS_FLAGS_TO_SIGN_ALGO(flags), (gnutls_pk_algorithm_t)k->kind);
	return -1;
}

static int use_remote(struct tls_remote_key *k, gnutls_privkey_t key)
{
	return gnutls_privkey_import_ext4(
		key, k, sign_octets, sign_octets, NULL, NULL, get_info, 0);
}

static int use_key(const struct tls_pair_read *pair, gnutls_privkey_t key)
{
	if (pair->remote)
		return use_remote(pair->remote, key);
	return gnutls_privkey_import_x509(key, pair->key, GNUTLS_PRIVKEY_IMPORT_COPY);
}

int tls_pair_copy_key(const struct tls_pair_read *pair, gnutls_privkey_t *ret)
{
	gnutls_privkey_t key;

	if (gnutls_privkey_init(&key) < 0)
		return -ENOMEM;
	if (use_key(pair, key) < 0) {
		gnutls_privkey_deinit(key);
		return -ENOMEM;
	}
	*ret = key;
	return 0;
}

void tls_facts_of_agent(
	const struct tls_credentials *c, int code, struct tls_failure *ret)
{
	for (size_t i = 0; code == GNUTLS_E_PK_SIGN_FAILED && i < TLS_PAIR_MAX; i++) {
		if (!c->remote[i].error)
			continue;
		snprintf(ret->error, sizeof(ret->error), "%s",
			keys_error(c->remote[i].error));
		ret->how = TLS_END_BROKEN;
	}
}
