/* SPDX-License-Identifier: ISC */
/*
 * The module's exchanges: the first octet is the mechanism, and lines are responses ("-": there is none). A login
 * succeeds only as the one existing user, or the user of the certificate.
 */
#include <string.h>
#include "edge/auth/auth.h"
#include "fuzz/fuzz.h"

#define USER "u"
#define DEVICE "device.example.org"
#define STEPS_MAX 8

extern const struct sasl_api postern_sasl;

/* The password is "secret": gsasl --mkpasswd --mechanism SCRAM-SHA-256 --iteration-count 4096 */
static enum table_found find(void *ctx, struct span user, struct buf *ret_value)
{
	(void)ctx;
	if (!span_eq(user, SPAN(USER)))
		return TABLE_ABSENT;
	buf_put(ret_value, SPAN("{SCRAM-SHA-256}4096,abMczsfHWIU++oOO,"
				"GMqPr2sKZSgZ/W/7w+95tiPHkwokNJGlMaSHoUL39CY=,"
				"+1hMECFC51EYhftFxCFHY53z2wvhxR5CqzESkdNpClU="));
	return TABLE_FOUND;
}

static void hear(void *ctx, const char *text)
{
	(void)ctx;
	MUST(text[0]);
}

static struct span cut_line(struct span *input)
{
	const char *lf = input->n ? memchr(input->p, '\n', input->n) : NULL;
	size_t n = lf ? (size_t)(lf - input->p) : input->n;
	struct span line = { input->p, n };

	*input = span_from(*input, n + (lf != NULL));
	return line;
}

static enum auth_result play(struct sasl *sasl, struct span input)
{
	enum auth_result result = AUTH_CHALLENGE;

	for (size_t i = 0; i < STEPS_MAX && input.n && result == AUTH_CHALLENGE; i++) {
		char octets[AUTH_CHALLENGE_MAX];
		struct buf said = BUF(octets);
		struct span line = cut_line(&input);
		bool is_none = i == 0 && span_eq(line, SPAN("-"));
		result = postern_sasl.step(sasl, is_none ? NULL : &line, &said);
		MUST(result <= AUTH_UNAVAILABLE && result != AUTH_UNKNOWN);
		MUST(result != AUTH_CHALLENGE || !said.overflow);
	}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const mechanisms[] = { SASL_PLAIN, SASL_LOGIN, SASL_SCRAM,
		SASL_SCRAM_PLUS, SASL_EXTERNAL };
	const struct sasl_settings settings = {
		.find = find,
		.fault = hear,
		.secret = SPAN("a secret of more than 32 octets here"),
		.binding = SPAN("the 32 octets of a TLS exporter."),
		.names = { DEVICE },
		.n_names = 1,
	};
	size_t i = size ? data[0] % (sizeof(mechanisms) / sizeof(*mechanisms)) : 0;
	struct span input = fuzz_input(data, size, 1);
	struct sasl *sasl = postern_sasl.open(&settings);
	const char *expected = strcmp(mechanisms[i], SASL_EXTERNAL) == 0 ? DEVICE : USER;
	enum auth_result result;

	if (!sasl)
		return 0;
	MUST(postern_sasl.begin(sasl, span_of(mechanisms[i])) == AUTH_CHALLENGE);
	result = play(sasl, input);
	postern_sasl.end(sasl);
	MUST(strlen(postern_sasl.user(sasl)) < AUTH_USER_MAX);
	MUST(result != AUTH_SUCCESS || strcmp(postern_sasl.user(sasl), expected) == 0);
	postern_sasl.close(sasl);
	return 0;
}
