/* SPDX-License-Identifier: ISC */
/* PROXY headers: the result does not depend on the octets after a header, and needs all of its octets. */
#include "fuzz/fuzz.h"
#include "proto/proxy.h"

/* In memory of exactly that size, so that a sanitizer sees a step beyond. */
static enum proxy_step show(struct span input, size_t n, struct proxy_header *ret)
{
	char *copy = malloc(n + !n);
	enum proxy_step step;

	MUST(copy);
	if (n)
		memcpy(copy, input.p, n);
	step = proxy_parse((struct span){ copy, n }, ret);
	free(copy);
	return step;
}

static void check_header(struct span input, const struct proxy_header *h)
{
	struct ip again;
	char octets[IP_TEXT_MAX];
	struct buf b = BUF(octets);

	MUST(h->n > 0 && h->n <= input.n && h->n <= PROXY_HEADER_MAX);
	MUST(input.p[0] != 'P' || h->n <= PROXY_LINE_MAX);
	ip_put(&b, &h->client);
	MUST(!b.overflow);
	MUST(h->client.n ? ip_parse(buf_span(&b), &again) : h->port == 0 && b.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 0);
	struct proxy_header whole = { .n = 0 }, part;
	enum proxy_step verdict = show(input, input.n, &whole);
	enum proxy_step step = PROXY_MORE;

	if (verdict == PROXY_DONE)
		check_header(input, &whole);
	for (size_t n = 0; step == PROXY_MORE && n <= input.n; n++) {
		step = show(input, n, &part);
		if (step == PROXY_DONE)
			MUST(part.n == n && whole.n == n && part.port == whole.port);
	}
	MUST(step == verdict);
	return 0;
}
