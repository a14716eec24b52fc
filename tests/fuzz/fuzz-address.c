/* SPDX-License-Identifier: ISC */
/* Paths and domains. An accepted one is harmless, lies in the input, and is parsed to the same value again. */
#include "fuzz/fuzz.h"
#include "proto/address.h"
#include "proto/received.h"
#include "proto/text.h"

static void is_harmless(struct span s)
{
	while (s.n) {
		size_t n = utf8_length(s);
		MUST(n > 0);
		MUST(n > 1 || (s.p[0] >= 32 && s.p[0] <= 126));
		MUST(n != 2 || s.p[0] != '\xc2' || (unsigned char)s.p[1] >= 0xa0);
		s = span_from(s, n);
	}
}

/* Quoted anew, it stands for the same octets. */
static void check_quoting(struct span local)
{
	char octets[PATH_OCTETS_MAX], quoted[2 * PATH_OCTETS_MAX + 2],
		back[PATH_OCTETS_MAX];
	struct buf plain = BUF(octets), b = BUF(quoted), again = BUF(back);

	local_unquote(local, &plain);
	MUST(!plain.overflow && plain.n <= local.n);
	local_quote(buf_span(&plain), &b);
	local_unquote(buf_span(&b), &again);
	MUST(!b.overflow && span_eq(buf_span(&again), buf_span(&plain)));
}

/* In quotes it is the same address. */
static void check_same(const struct path *path)
{
	char octets[PATH_OCTETS_MAX], quoted[2 * PATH_OCTETS_MAX + 2 + DOMAIN_OCTETS_MAX];
	struct buf plain = BUF(octets), b = BUF(quoted);

	if (path->null)
		return;
	local_unquote(path->local, &plain);
	local_quote(buf_span(&plain), &b);
	buf_put(&b, span_from(path->text, path->local.n));
	MUST(!b.overflow);
	MUST(address_is_same(path->text, buf_span(&b)));
}

/* The canonical form is the same path. */
static void is_stable(const struct path *path, enum path_kind kind)
{
	char text[2 + PATH_OCTETS_MAX + DOMAIN_OCTETS_MAX];
	struct buf b = BUF(text);
	struct span args;
	struct path again;

	buf_put_char(&b, '<');
	buf_put(&b, path->text);
	buf_put_char(&b, '>');
	MUST(!b.overflow);
	if (b.n > PATH_OCTETS_MAX)
		return;
	args = buf_span(&b);
	MUST(path_parse(&args, kind, &again) && args.n == 0);
	MUST(span_eq(again.text, path->text) && span_eq(again.local, path->local));
	MUST(span_eq(again.domain, path->domain) && again.null == path->null);
	MUST(!again.lenient || kind == PATH_REVERSE);
}

static void check_path(
	struct span input, struct span rest, const struct path *path, enum path_kind kind)
{
	fuzz_is_inside(path->text, input);
	fuzz_is_inside(path->local, path->text);
	fuzz_is_inside(path->domain, path->text);
	is_harmless(path->text);
	MUST(rest.n == 0 || *rest.p == ' ' || *rest.p == '\t');
	MUST(path->null == (path->text.n == 0));
	if (path->domain.n)
		MUST(domain_valid_utf8(path->domain));
	MUST(path->utf8 || utf8_is_ascii(path->text));
	check_quoting(path->local);
	check_same(path);
	is_stable(path, kind);
	MUST(kind == PATH_REVERSE || path->null || path->text.p[path->text.n - 1] != '.');
}

/* A name of a client makes no line of its own. */
static void check_trace(struct span helo)
{
	char octets[RECEIVED_MAX];
	struct buf b = BUF(octets);
	size_t n_lines = 0;

	received_put(&b, &(struct received){ .helo = helo, .peer = SPAN("192.0.2.1") });
	MUST(!b.overflow);
	for (size_t i = 0; i < b.n; i++) {
		MUST((octets[i] >= 32 && octets[i] <= 126) || octets[i] == '\n' ||
			octets[i] == '\t');
		n_lines += octets[i] == '\n';
	}
	MUST(n_lines == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 0);

	for (enum path_kind kind = PATH_REVERSE; kind <= PATH_FORWARD_LOCAL; kind++) {
		struct span args = input;
		struct path path;
		if (path_take(&args, kind, &path) == PATH_FINE)
			check_path(input, args, &path, kind);
		else
			MUST(args.p == input.p && args.n == input.n);
	}
	if (domain_valid_utf8(input))
		is_harmless(input);
	if (domain_valid(input))
		MUST(domain_valid_utf8(input) && utf8_is_ascii(input));
	check_trace(input);
	MUST(address_is_same(input, input));
	return 0;
}
