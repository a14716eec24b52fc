/* SPDX-License-Identifier: ISC */
/* Names of attachments are safe for any input; encodings are decoded in the same way in any pieces. */
#include "fuzz/fuzz-name.h"

static void check_names(struct span text)
{
	char name[EXTRACT_NAME_SIZE], again[EXTRACT_NAME_SIZE], last[EXTRACT_NAME_SIZE];

	extract_name_make(text, name);
	check_name(name);
	extract_name_make(span_of(name), again);
	/* the longest have an underscore in front, for which room is left */
	MUST(strcmp(name, again) == 0 || strlen(name) == EXTRACT_NAME_MAX);
	if (!*name)
		return;
	extract_name_number(name, 1, again);
	check_name(again);
	/* one of the longest that ends in the number is cut to itself */
	MUST(strcmp(name, again) != 0 || strlen(name) == EXTRACT_NAME_MAX);
	extract_name_number(name, UINT64_MAX, last);
	check_name(last);
	MUST(strcmp(again, last) != 0);
}

static void check_filter(struct span text)
{
	char list[256];
	struct buf b = BUF(list);
	uint64_t size;

	buf_put(&b, text);
	if (!buf_terminate(&b))
		return;
	if (!extract_types_fault(list))
		extract_types_have(list, "application/pdf", "a.pdf");
	extract_types_have("image/*,.pdf", list, list);
	if (extract_size_parse(list, &size))
		MUST(strspn(list, "0123456789") >= strlen(list) - 1);
}

/* Every event of the reader, as text. */
struct events {
	struct buf b;
	size_t open, n_data;
};

static int begin(void *ctx, struct span name)
{
	struct events *e = ctx;

	MUST(!e->open && name.n > 0 && name.n < EXTRACT_UU_LINE);
	e->open = 1;
	buf_put_char(&e->b, '{');
	buf_put(&e->b, name);
	return 0;
}

static int data(void *ctx, struct span octets)
{
	struct events *e = ctx;

	MUST(e->open && octets.n > 0);
	e->n_data += octets.n;
	buf_put(&e->b, octets);
	return 0;
}

static int end(void *ctx, bool damaged)
{
	struct events *e = ctx;

	MUST(e->open);
	e->open = 0;
	buf_put_char(&e->b, damaged ? '!' : '}');
	return 0;
}

static size_t read_text(struct span text, size_t piece, struct buf to, struct buf *ret)
{
	static const struct extract_uu_sink sink = { begin, data, end };
	struct events e = { .b = to };
	struct extract_uu u = { .sink = &sink, .ctx = &e };

	for (size_t i = 0; i < text.n; i += piece)
		MUST(extract_uu_step(
			     &u, (struct span){ text.p + i,
					 text.n - i < piece ? text.n - i : piece }) == 0);
	MUST(extract_uu_end(&u) == 0 && !e.open);
	*ret = e.b;
	return e.n_data;
}

static bool check_encoding(struct span text, size_t piece, bool base64)
{
	struct extract_check c = { .base64 = base64 };

	for (size_t i = 0; i < text.n; i += piece)
		extract_check_step(&c, (struct span){ text.p + i,
					       text.n - i < piece ? text.n - i : piece });
	return extract_check_end(&c);
}

static void check_pieces(struct span text, size_t piece)
{
	static char whole_octets[4096], octets[4096];
	struct buf whole, split;
	size_t n = read_text(text, text.n + 1, BUF(whole_octets), &whole);

	/* a line of 45 zeros may have one octet, because blanks at its end were removed */
	MUST(n <= 45 * text.n);
	MUST(read_text(text, piece, BUF(octets), &split) == n);
	MUST(span_eq(buf_span(&whole), buf_span(&split)));
	for (int base64 = 0; base64 < 2; base64++)
		MUST(check_encoding(text, text.n + 1, base64) ==
			check_encoding(text, piece, base64));
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct span text = fuzz_input(octets, size, 1);

	check_names(text);
	check_filter(text);
	check_pieces(text, size ? octets[0] % FUZZ_PIECE_MAX + 1 : 1);
	return 0;
}
