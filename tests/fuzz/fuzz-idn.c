/* SPDX-License-Identifier: ISC */
/*
 * The module's two functions: the result for a name is harmless, and is its own result again. The results of the
 * libraries are not trusted.
 */
#include <string.h>
#include "edge/idn/idn.h"
#include "fuzz/fuzz.h"
#include "proto/text.h"

extern const struct idn_api postern_idn;

static void check_domain(struct span input)
{
	char octets[2 * DOMAIN_OCTETS_MAX], more[2 * DOMAIN_OCTETS_MAX];
	struct buf b = BUF(octets), again = BUF(more);

	if (postern_idn.domain(input, &b) != NAMES_FINE) {
		MUST(b.n == 0);
		return;
	}
	MUST(domain_valid_utf8(input) && domain_valid(buf_span(&b)));
	MUST(!memchr(b.p, '[', b.n));
	for (size_t i = 0; i < b.n; i++)
		MUST(octets[i] < 'A' || octets[i] > 'Z');
	MUST(postern_idn.domain(buf_span(&b), &again) == NAMES_FINE);
	MUST(span_eq(buf_span(&again), buf_span(&b)));
}

/* How often the octet stands there. */
static size_t count(struct span s, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

static void check_local(struct span input)
{
	static const char signs[] = "/.\"\\@<>";
	static char octets[1 << 16], more[1 << 16];
	struct buf b = BUF(octets), again = BUF(more);

	if (postern_idn.local(input, &b) != NAMES_FINE) {
		MUST(!utf8_valid(input));
		return;
	}
	MUST(!b.overflow && utf8_valid(buf_span(&b)));
	for (const char *c = signs; *c; c++)
		MUST(count(buf_span(&b), *c) <= count(input, *c));
	MUST(postern_idn.local(buf_span(&b), &again) == NAMES_FINE);
	MUST(span_eq(buf_span(&again), buf_span(&b)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 0);

	check_domain(input);
	if (size <= 1024)
		check_local(input);
	return 0;
}
