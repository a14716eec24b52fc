/* Paths and domains: what is accepted is harmless, lies in the input, and reads the same once more. */
#include "fuzz/fuzz.h"
#include "proto/address.h"
#include "proto/received.h"

static void is_harmless(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		MUST(s.p[i] >= 32 && s.p[i] <= 126);
}

/* In its canonical form it is the same path. */
static void is_stable(const struct path *path)
{
	char text[2 + PATH_OCTETS_MAX + DOMAIN_OCTETS_MAX];
	struct buf b = BUF(text);
	struct span args;
	struct path again;

	buf_put_str(&b, "X:<");
	buf_put(&b, path->text);
	buf_put_char(&b, '>');
	MUST(!b.overflow);
	if (b.n - 2 > PATH_OCTETS_MAX)
		return;
	args = buf_span(&b);
	MUST(path_take(&args, SPAN("X:"), &again) == PATH_FINE && args.n == 0);
	MUST(span_eq(again.text, path->text) && span_eq(again.local, path->local));
	MUST(span_eq(again.domain, path->domain) && again.null == path->null);
	MUST(!again.lenient);
}

static void check_path(struct span input, struct span rest, const struct path *path)
{
	char octets[PATH_OCTETS_MAX];
	struct buf b = BUF(octets);

	fuzz_is_inside(path->text, input);
	fuzz_is_inside(path->local, path->text);
	fuzz_is_inside(path->domain, path->text);
	is_harmless(path->text);
	MUST(rest.n == 0 || *rest.p == ' ' || *rest.p == '\t');
	MUST(path->null == (path->text.n == 0));
	if (path->domain.n)
		MUST(domain_valid(path->domain));
	local_unquote(path->local, &b);
	MUST(!b.overflow && b.n <= path->local.n);
	is_stable(path);
}

/* A name of a client makes no line of its own. */
static void check_trace(struct span helo)
{
	char octets[TRACE_MAX];
	struct buf b = BUF(octets);
	size_t n_lines = 0;

	trace_put(&b, &(struct trace){ .helo = helo, .peer = SPAN("192.0.2.1") });
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
	struct span args = input;
	struct path path;

	if (path_take(&args, SPAN("TO:"), &path) == PATH_FINE)
		check_path(input, args, &path);
	else
		MUST(args.p == input.p && args.n == input.n);
	if (domain_valid(input))
		is_harmless(input);
	check_trace(input);
	return 0;
}
