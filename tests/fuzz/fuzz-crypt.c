/* SPDX-License-Identifier: ISC */
/*
 * AUTH against hashes of crypt(5). Input: mechanism, the hash of the table, and lines of responses. A login succeeds
 * exactly if crypt_rn() makes this hash of the password, and only as this user.
 */
#include <crypt.h>
#include <string.h>
#include "edge/auth/auth.h"
#include "fuzz/fuzz.h"
#include "proto/verifier.h"

#define USER "u"
#define STEPS_MAX 4
#define ROUNDS_DIGITS_MAX 4 /* of SHA-512: 9999 take some milliseconds */

struct table {
	struct span hash;
};

static struct span take_line(struct span *input)
{
	const char *lf = input->n ? memchr(input->p, '\n', input->n) : NULL;
	size_t n = lf ? (size_t)(lf - input->p) : input->n;
	struct span line = { input->p, n };

	*input = span_from(*input, n + (lf != NULL));
	return line;
}

/* Valid parameters may take minutes and gigabytes, so cheap ones are used here. */
static bool is_cheap(struct span hash)
{
	static const struct span cheap[] = { { "$y$j75$", 7 }, { "$y$j65$", 7 },
		{ "$6$", 3 } };
	static const struct span rounds = { "$6$rounds=", 10 };

	if (hash.n > rounds.n && memcmp(hash.p, rounds.p, rounds.n) == 0) {
		const char *end = memchr(hash.p + rounds.n, '$', hash.n - rounds.n);
		return end && end - hash.p <= (ptrdiff_t)rounds.n + ROUNDS_DIGITS_MAX;
	}
	for (size_t i = 0; i < sizeof(cheap) / sizeof(*cheap); i++)
		if (hash.n > cheap[i].n && memcmp(hash.p, cheap[i].p, cheap[i].n) == 0)
			return true;
	return false;
}

static enum table_found find(void *ctx, struct span user, struct buf *ret_value)
{
	const struct table *t = ctx;

	if (!span_eq(user, SPAN(USER)))
		return TABLE_ABSENT;
	buf_put(ret_value, t->hash);
	return TABLE_FOUND;
}

static void hear(void *ctx, const char *text)
{
	(void)ctx;
	MUST(text[0]);
}

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

static bool makes_hash(struct span password, struct span hash)
{
	char *word = strndup(password.p, password.n), *expected = strndup(hash.p, hash.n);
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *made;
	bool same;

	MUST(word && expected && data);
	made = crypt_rn(word, expected, data, sizeof(*data));
	same = made && strcmp(made, expected) == 0;
	free(word);
	free(expected);
	free(data);
	return same;
}

/* RFC 4616 2: [authzid] NUL authcid NUL passwd. Names that are not ASCII are prepared first, and are not compared. */
static void check_plain(struct span response, struct span hash, bool is_in)
{
	const char *first = response.n ? memchr(response.p, '\0', response.n) : NULL;
	struct span rest, user, password, named;
	const char *second;

	if (!first) {
		MUST(!is_in);
		return;
	}
	named = (struct span){ response.p, (size_t)(first - response.p) };
	rest = span_from(response, named.n + 1);
	second = rest.n ? memchr(rest.p, '\0', rest.n) : NULL;
	if (!second) {
		MUST(!is_in);
		return;
	}
	user = (struct span){ rest.p, (size_t)(second - rest.p) };
	password = span_from(rest, user.n + 1);
	if (!is_ascii(password) || !is_ascii(user) || !is_ascii(named))
		return;
	MUST(is_in == (password.n > 0 && span_eq(user, SPAN(USER)) &&
			      (named.n == 0 || span_eq(named, user)) &&
			      makes_hash(password, hash)));
}

static enum auth_result play(struct sasl *sasl, struct span input)
{
	enum auth_result result = AUTH_CHALLENGE;

	for (size_t i = 0; i < STEPS_MAX && input.n && result == AUTH_CHALLENGE; i++) {
		char octets[AUTH_CHALLENGE_MAX];
		struct buf said = BUF(octets);
		struct span line = take_line(&input);
		result = postern_sasl.step(sasl, &line, &said);
		MUST(result <= AUTH_UNAVAILABLE && result != AUTH_UNKNOWN);
	}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const mechanisms[] = { SASL_PLAIN, SASL_LOGIN, SASL_SCRAM };
	struct span input = fuzz_input(data, size, 1), responses, first;
	struct table table = { .hash = take_line(&input) };
	const struct sasl_settings settings = {
		.ctx = &table,
		.find = find,
		.fault = hear,
		.secret = SPAN("a secret of more than 32 octets here"),
	};
	size_t i = size ? data[0] % (sizeof(mechanisms) / sizeof(*mechanisms)) : 0;
	struct verifier v;
	enum auth_result result;
	struct sasl *sasl;

	/* other values and prices of users that do not exist are those of the target sasl */
	if (size == 0 || verifier_parse(table.hash, &v) || !is_cheap(table.hash))
		return 0;
	MUST(v.kind == VERIFIER_CRYPT);
	sasl = postern_sasl.open(&settings);
	MUST(sasl && postern_sasl.begin(sasl, span_of(mechanisms[i])) == AUTH_CHALLENGE);
	responses = input;
	result = play(sasl, input);
	postern_sasl.end(sasl);
	first = take_line(&responses);
	MUST(result != AUTH_SUCCESS || strcmp(postern_sasl.user(sasl), USER) == 0);
	MUST(result != AUTH_SUCCESS || strcmp(mechanisms[i], SASL_SCRAM) != 0);
	if (strcmp(mechanisms[i], SASL_PLAIN) == 0 && first.n)
		check_plain(first, table.hash, result == AUTH_SUCCESS);
	postern_sasl.close(sasl);
	return 0;
}
