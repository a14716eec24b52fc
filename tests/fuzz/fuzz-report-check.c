/* SPDX-License-Identifier: ISC */
/* Reports: an accepted report has no other recipient by the rules of RFC 5322. */
#include "fuzz/fuzz.h"
#include "proto/address.h"
#include "tools/outbox/outbox.h"

static bool begins(struct span line, struct span with)
{
	return line.n >= with.n && span_ieq((struct span){ line.p, with.n }, with);
}

/* How many lines of the header begin so. It must end. */
static size_t count(struct span text, struct span with)
{
	size_t n = 0;

	for (;;) {
		const char *lf = memchr(text.p, '\n', text.n);
		MUST(lf);
		if (lf == text.p)
			return n;
		n += begins((struct span){ text.p, (size_t)(lf - text.p) }, with);
		text = span_from(text, (size_t)(lf - text.p) + 1);
	}
}

static void is_one_address(struct span text, struct span address)
{
	static const struct span before = { "To: <", 5 }, behind = { ">\n", 2 };

	fuzz_is_inside(address, text);
	MUST(address.n > 0 && address.n + 2 <= PATH_OCTETS_MAX && *address.p != '-');
	MUST(memchr(address.p, '@', address.n));
	for (size_t i = 0; i < address.n; i++)
		MUST((unsigned char)address.p[i] >= 32 && address.p[i] != 127);
	MUST(address.p == text.p + before.n);
	MUST(span_eq((struct span){ text.p, before.n }, before));
	MUST(begins(span_from(text, before.n + address.n), behind));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = fuzz_input(data, size, 0), address = { 0 };

	if (report_check(text, &address)) {
		MUST(!address.p);
		return 0;
	}
	is_one_address(text, address);
	MUST(count(text, SPAN("to:")) == 1);
	MUST(count(text, SPAN("cc:")) == 0 && count(text, SPAN("cc ")) == 0);
	MUST(count(text, SPAN("bcc:")) == 0 && count(text, SPAN("bcc ")) == 0);
	MUST(count(text, SPAN("to ")) == 0 && count(text, SPAN("to\t")) == 0);
	MUST(count(text, SPAN("resent-")) == 0 && count(text, SPAN("return-path:")) == 0);
	MUST(count(text, SPAN("auto-submitted:")) == 1);
	MUST(count(text, SPAN("content-type:")) == 1);
	return 0;
}
