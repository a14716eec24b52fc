/* SPDX-License-Identifier: ISC */
/* Parameters: every step takes octets, and an accepted parameter has the syntax of RFC 5321 4.1.2. */
#include "fuzz/fuzz.h"
#include "base/num.h"
#include "proto/address.h"
#include "proto/text.h"

static bool is_graphic(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 33 || text.p[i] > 126)
			return false;
	return true;
}

static void check_param(struct span input, const struct param *p)
{
	fuzz_is_inside(p->keyword, input);
	fuzz_is_inside(p->value, input);
	MUST(p->keyword.n > 0 && is_graphic(p->keyword) && p->keyword.p[0] != '-');
	MUST(p->has_value == (p->value.n > 0));
	MUST(utf8_valid(p->value));
	MUST(p->utf8 != utf8_is_ascii(p->value));
	MUST(p->utf8 || is_graphic(p->value));
	MUST(!p->value.n || !memchr(p->value.p, '=', p->value.n));
}

static void check_text(struct span text)
{
	char octets[64];
	struct buf b = BUF(octets);

	text_escape(&b, text, sizeof(octets));
	MUST(!b.overflow);
	for (size_t i = 0; i < b.n; i++)
		MUST(octets[i] >= 32 && octets[i] <= 126 && octets[i] != '"');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 0);
	struct span args = input;
	enum param_step step;
	struct param p;
	uint64_t number;
	size_t before = args.n + 1;

	while ((step = param_take(&args, &p)) == PARAM_ONE) {
		MUST(args.n < before);
		before = args.n;
		check_param(input, &p);
		if (num_parse(p.value, &number))
			MUST(p.value.n > 0 && p.value.n <= NUM_MAX);
	}
	if (step == PARAM_SYNTAX) {
		MUST(p.keyword.n > 0);
		fuzz_is_inside(p.keyword, input);
	}
	check_text(input);
	return 0;
}
