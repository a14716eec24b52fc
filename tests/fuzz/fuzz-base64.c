/* SPDX-License-Identifier: ISC */
/* base64. An accepted text is the only text of its octets, and encoding and decoding returns the same octets. */
#include "base/cleanup.h"
#include "fuzz/fuzz.h"
#include "proto/text.h"

static void check_text(struct span input)
{
	OWNED char *octets = malloc(input.n + 1);
	OWNED char *text = malloc(input.n + 1);
	struct buf b = { .p = octets, .cap = input.n };
	struct buf again = { .p = text, .cap = input.n };

	MUST(octets && text);
	if (!base64_take(input, &b))
		return;
	MUST(b.n <= input.n / 4 * 3 && b.n + 2 >= input.n / 4 * 3);
	base64_put(&again, buf_span(&b));
	MUST(!again.overflow && span_eq(buf_span(&again), input));
}

static void check_octets(struct span input)
{
	size_t n_text = (input.n + 2) / 3 * 4;
	OWNED char *text = malloc(n_text + 1);
	OWNED char *octets = malloc(input.n + 1);
	struct buf b = { .p = text, .cap = n_text };
	struct buf again = { .p = octets, .cap = input.n };

	MUST(octets && text);
	base64_put(&b, input);
	MUST(!b.overflow && b.n == n_text);
	MUST(base64_take(buf_span(&b), &again));
	MUST(span_eq(buf_span(&again), input));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 0);

	check_text(input);
	check_octets(input);
	return 0;
}
