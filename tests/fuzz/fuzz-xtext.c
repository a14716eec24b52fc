/* SPDX-License-Identifier: ISC */
/* xtext and unitext: an accepted text is decoded without line ends, and is parsed to the same value again. */
#include "fuzz/fuzz.h"
#include "base/cleanup.h"
#include "proto/text.h"

#define HEX "0123456789ABCDEF"

/* Every octet as hexchar: another xtext that stands for the same. */
static void check_again(struct span text)
{
	OWNED char *encoded = malloc(3 * text.n + 1);
	OWNED char *decoded = malloc(text.n + 1);
	struct buf b = { .p = encoded, .cap = 3 * text.n };
	struct buf again = { .p = decoded, .cap = text.n };

	MUST(encoded && decoded);
	for (size_t i = 0; i < text.n; i++) {
		buf_put_char(&b, '+');
		buf_put_char(&b, HEX[text.p[i] >> 4]);
		buf_put_char(&b, HEX[text.p[i] & 15]);
	}
	MUST(!b.overflow && xtext_valid(buf_span(&b)));
	xtext_put(&again, buf_span(&b));
	MUST(!again.overflow && span_eq(buf_span(&again), text));
}

static void check_xtext(struct span input)
{
	OWNED char *octets = malloc(input.n + 1);
	struct buf b = { .p = octets, .cap = input.n };

	MUST(octets);
	if (!xtext_valid(input))
		return;
	xtext_put(&b, input);
	MUST(!b.overflow);
	for (size_t i = 0; i < b.n; i++)
		MUST(octets[i] >= 32 && octets[i] <= 126);
	check_again(buf_span(&b));
}

static void check_unitext(struct span input)
{
	OWNED char *octets = malloc(input.n + 1);
	struct buf b = { .p = octets, .cap = input.n };

	MUST(octets);
	if (unitext_valid(input, false))
		MUST(unitext_valid(input, true));
	if (!unitext_valid(input, true))
		return;
	MUST(input.n > 0 && utf8_valid(input));
	unitext_put(&b, input);
	MUST(!b.overflow && b.n > 0 && utf8_valid(buf_span(&b)));
	for (size_t i = 0; i < b.n; i++)
		MUST((unsigned char)octets[i] >= 32 && octets[i] != 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 0);

	check_xtext(input);
	check_unitext(input);
	return 0;
}
