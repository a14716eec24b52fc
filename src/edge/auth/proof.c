/* SPDX-License-Identifier: ISC */
/*
 * Compares a password with a verifier. Right and wrong passwords take the same work, and
 * no secret is left in memory. SCRAM's keys are computed with GnuTLS, which is already
 * loaded: libgsasl takes six times as long.
 */
#include "edge/auth/proof.h"

#include <crypt.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gsasl.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"

#define HASH_SIZE 32 /* SHA-256 */
#define STACK_DEPTH (32 * 1024) /* more than the libraries use for secrets */

static gnutls_datum_t datum_of(const char *text)
{
	return (gnutls_datum_t){ (unsigned char *)(uintptr_t)text,
		(unsigned)strlen(text) };
}

/* RFC 5802 3: StoredKey := H(HMAC(Hi(password, salt, i), "Client Key")) */
static int stored_key(
	const char *password, const gnutls_datum_t *salt, unsigned iterations, void *ret)
{
	static const char label[] = "Client Key";
	unsigned char salted[HASH_SIZE], client[HASH_SIZE];
	const gnutls_datum_t key = datum_of(password);
	int r = gnutls_pbkdf2(
		GNUTLS_MAC_SHA256, &key, salt, iterations, salted, sizeof(salted));

	if (r >= 0)
		r = gnutls_hmac_fast(GNUTLS_MAC_SHA256, salted, sizeof(salted), label,
			sizeof(label) - 1, client);
	if (r >= 0)
		r = gnutls_hash_fast(GNUTLS_DIG_SHA256, client, sizeof(client), ret);
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client, sizeof(client));
	return r;
}

static enum proof check_scram(const struct verifier *v, const char *password)
{
	OWNED char *salt = NULL, *stored = NULL;
	unsigned char computed[HASH_SIZE];
	size_t n_salt, n_stored;
	bool same;

	if (gsasl_base64_from(v->salt.p, v->salt.n, &salt, &n_salt) != GSASL_OK ||
		gsasl_base64_from(v->stored.p, v->stored.n, &stored, &n_stored) !=
			GSASL_OK ||
		stored_key(password,
			&(gnutls_datum_t){ (unsigned char *)salt, (unsigned)n_salt },
			v->iterations, computed) < 0)
		return PROOF_UNABLE;
	same = n_stored == HASH_SIZE && gnutls_memcmp(stored, computed, HASH_SIZE) == 0;
	explicit_bzero(computed, sizeof(computed));
	return same ? PROOF_RIGHT : PROOF_WRONG;
}

static enum proof check_crypt(const struct verifier *v, const char *password)
{
	OWNED char *expected = strndup(v->hash.p, v->hash.n);
	OWNED struct crypt_data *data = calloc(1, sizeof(*data));
	const char *computed;
	bool same;

	if (!expected || !data)
		return PROOF_UNABLE;
	errno = 0;
	computed = crypt_rn(password, expected, data, sizeof(*data));
	/* ERANGE: the password is too long */
	if (!computed && errno != ERANGE)
		return errno == EINVAL ? PROOF_INVALID : PROOF_UNABLE;
	same = computed && strlen(computed) == v->hash.n &&
	       gnutls_memcmp(computed, expected, v->hash.n) == 0;
	explicit_bzero(data, sizeof(*data));
	return same ? PROOF_RIGHT : PROOF_WRONG;
}

enum proof proof_check(const struct verifier *v, const char *password)
{
	return v->kind == VERIFIER_SCRAM ? check_scram(v, password)
					 : check_crypt(v, password);
}

/* Makes a salt for a nonexistent user, because SCRAM sends the salt before the proof. */
char *decoy_salt(struct span secret, const char *user, size_t n)
{
	unsigned char octets[VERIFIER_SALT_MAX];
	char *text;

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret.p, secret.n, user, strlen(user),
		    octets) < 0 ||
		gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret.p, secret.n, octets, HASH_SIZE,
			octets + HASH_SIZE) < 0 ||
		gsasl_base64_to((char *)octets, n, &text, NULL) != GSASL_OK)
		return NULL;
	return text;
}

void proof_wipe_stack(void)
{
	char below[STACK_DEPTH];

	explicit_bzero(below, sizeof(below));
}
