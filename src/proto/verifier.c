/* SPDX-License-Identifier: ISC */
/*
 * Values of the table `auth-users`, and decoys for users that do not exist. A text that
 * could be a password is never accepted as a verifier, and no fault contains the value.
 * Libraries compute the hashes.
 *
 *   value      = scram / hash
 *   scram      = "{SCRAM-SHA-256}" iterations "," salt "," stored-key "," server-key
 *   hash       = "$y$" params "$" salt "$" 43char /
 *                "$6$" [ "rounds=" 4*9DIGIT "$" ] salt "$" 86char
 *
 * The three of scram are base64 (RFC 4648 4), the keys of 32 octets each (RFC 7677 3, RFC
 * 5802 3).
 */
#include "proto/verifier.h"
#include "base/num.h"

#define KEY_TEXT 44 /* 32 octets in base64 */
#define SALT_LEAST 8 /* octets */
#define YESCRYPT_DIGITS 43
#define SHA512_DIGITS 86
#define SHA512_SALT_MAX 16 /* characters (crypt(5)), as are the limits of rounds */
#define SHA512_ROUNDS_LEAST 1000
#define SHA512_ROUNDS_MAX 999999999

static bool is_base64_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* Returns the number of encoded octets; 0: not base64. */
static size_t base64_octets(struct span s)
{
	size_t pads = 0;

	if (s.n % 4 != 0)
		return 0;
	while (pads < 2 && s.n && s.p[s.n - 1] == '=') {
		s.n--;
		pads++;
	}
	for (size_t i = 0; i < s.n; i++)
		if (!is_base64_digit(s.p[i]))
			return 0;
	return (s.n + pads) / 4 * 3 - pads;
}

static const char *parse_scram(struct span text, struct verifier *ret)
{
	struct verifier v = { .kind = VERIFIER_SCRAM };
	uint64_t iterations;
	bool is_number = num_parse(span_take(&text, ','), &iterations);

	v.salt = span_take(&text, ',');
	v.n_salt = base64_octets(v.salt);
	v.stored = span_take(&text, ',');
	v.server = span_take(&text, ',');
	if (text.n)
		return "has more than {SCRAM-SHA-256}iterations,salt,storedkey,serverkey "
		       "(gsasl without --verbose): what follows is as good as a password";
	if (!is_number || v.stored.n != KEY_TEXT || base64_octets(v.stored) != 32 ||
		v.server.n != KEY_TEXT || base64_octets(v.server) != 32)
		return "is not of the form "
		       "{SCRAM-SHA-256}iterations,salt,storedkey,serverkey";
	if (iterations < VERIFIER_ITERATIONS_LEAST)
		return "has less than 4096 iterations (RFC 7677)";
	if (iterations > VERIFIER_ITERATIONS_MAX)
		return "has more than 10000000 iterations";
	if (v.n_salt < SALT_LEAST || v.n_salt > VERIFIER_SALT_MAX)
		return "needs a salt of 8 to 64 octets in base64";
	v.iterations = (uint32_t)iterations;
	*ret = v;
	return NULL;
}

static bool is_crypt_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((!is_base64_digit(s.p[i]) && s.p[i] != '.') || s.p[i] == '+')
			return false;
	return s.n > 0;
}

/*
 * The text has `cost_fields` fields before the salt, and a digest of `n_digits` after it.
 */
static const char *parse_hash(
	struct span text, size_t cost_fields, size_t n_digits, struct verifier *ret)
{
	struct verifier v = { .kind = VERIFIER_CRYPT, .hash = text };
	struct span rest = text, salt;

	for (size_t i = 0; i < cost_fields; i++)
		span_take(&rest, '$');
	v.cost = (struct span){ text.p, (size_t)(rest.p - text.p) };
	salt = span_take(&rest, '$');
	if (!is_crypt_text(salt) || !is_crypt_text(rest) || rest.n != n_digits)
		return "is not a whole hash, as mkpasswd(1) prints it";
	*ret = v;
	return NULL;
}

static const char *parse_sha512(struct span text, struct verifier *ret)
{
	const struct span rounds = SPAN("$6$rounds=");
	bool has_rounds = span_starts(text, rounds);
	const char *wrong = parse_hash(text, has_rounds ? 3 : 2, SHA512_DIGITS, ret);
	struct span rest = span_from(text, has_rounds ? rounds.n : strlen("$6$"));
	uint64_t n = SHA512_ROUNDS_LEAST;

	if (wrong)
		return wrong;
	if (has_rounds && (!num_parse(span_take(&rest, '$'), &n) ||
				  n < SHA512_ROUNDS_LEAST || n > SHA512_ROUNDS_MAX))
		return "needs rounds from 1000 to 999999999 (crypt(5))";
	if (span_take(&rest, '$').n > SHA512_SALT_MAX)
		return "has a salt of more than 16 characters (crypt(5))";
	return NULL;
}

const char *verifier_parse(struct span text, struct verifier *ret)
{
	const struct span scram = SPAN("{SCRAM-SHA-256}");

	if (text.n > VERIFIER_MAX)
		return "is too long for a verifier";
	if (span_starts(text, scram))
		return parse_scram(span_from(text, scram.n), ret);
	if (span_starts(text, SPAN("$y$")))
		return parse_hash(text, 3, YESCRYPT_DIGITS, ret);
	if (span_starts(text, SPAN("$6$")))
		return parse_sha512(text, ret);
	return "is neither a {SCRAM-SHA-256} verifier nor a $y$ or $6$ hash; no password "
	       "may stand here";
}

bool verifier_alike(const struct verifier *a, const struct verifier *b)
{
	return a->kind == b->kind && a->iterations == b->iterations &&
	       a->n_salt == b->n_salt && span_eq(a->cost, b->cost);
}

void decoys_count(struct decoys *d, struct span value)
{
	struct verifier v;
	size_t i = 0;

	if (verifier_parse(value, &v))
		return;
	while (i < d->n && !verifier_alike(&v, &d->kinds[i].verifier))
		i++;
	if (i == DECOY_KINDS_MAX)
		return;
	if (i == d->n) {
		memcpy(d->kinds[i].text, value.p, value.n);
		verifier_parse((struct span){ d->kinds[i].text, value.n },
			&d->kinds[i].verifier);
		d->n++;
	}
	d->kinds[i].n++;
}

static const struct decoy *most_frequent(const struct decoys *d, bool any)
{
	const struct decoy *most = NULL;

	for (size_t i = 0; i < d->n; i++) {
		const struct decoy *k = &d->kinds[i];
		if (!any && k->verifier.kind != VERIFIER_SCRAM)
			continue;
		if (!most || k->n > most->n)
			most = k;
	}
	return most;
}

const struct decoy *decoys_any(const struct decoys *d)
{
	return most_frequent(d, true);
}

const struct decoy *decoys_scram(const struct decoys *d)
{
	return most_frequent(d, false);
}
