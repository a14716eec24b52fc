/* SPDX-License-Identifier: ISC */
/* proto/text: a text of a client cannot leave its place. */
#include "proto/text.h"
#include "unit/test.h"

#define MAX_LEAST 8 /* the smallest limit text_escape() takes */

static bool is_harmless(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool is_escape = s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] == 'x';
		if (s.p[i] < 32 || s.p[i] > 126 || s.p[i] == '"')
			return false;
		if (s.p[i] == '\\' && !is_escape)
			return false;
	}
	return true;
}

struct escaped {
	struct span text;
	size_t max;
	const char *shown;
};

static void test_escapes(void)
{
	static const struct escaped table[] = {
		{ .text = { NULL, 0 }, .max = 8, .shown = "" },
		{ .text = { "plain <a@b>", 11 }, .max = 64, .shown = "plain <a@b>" },
		{ .text = { "a\"b", 3 }, .max = 64, .shown = "a\\x22b" },
		{ .text = { "a\\b", 3 }, .max = 64, .shown = "a\\x5Cb" },
		{ .text = { "a\r\nb", 4 }, .max = 64, .shown = "a\\x0D\\x0Ab" },
		{ .text = { "a\0b", 3 }, .max = 64, .shown = "a\\x00b" },
		{ .text = { "\x1b[31m", 5 }, .max = 64, .shown = "\\x1B[31m" },
		{ .text = { "\xc3\xa4\x7f\xff", 4 },
			.max = 64,
			.shown = "\\xC3\\xA4\\x7F\\xFF" },
		{ .text = { "12345678", 8 }, .max = 8, .shown = "12345678" },
		{ .text = { "123456789", 9 }, .max = 8, .shown = "12345..." },
		{ .text = { "1234\n", 5 }, .max = 8, .shown = "1234\\x0A" },
		{ .text = { "12345\n", 6 }, .max = 8, .shown = "12345..." },
		{ .text = { "1\n2\n3", 5 }, .max = 8, .shown = "1\\x0A..." },
		{ .text = { "\n\n\n", 3 }, .max = 8, .shown = "\\x0A..." },
		{ .text = { "\n\n", 2 }, .max = 8, .shown = "\\x0A\\x0A" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char octets[64];
		struct buf b = BUF(octets);
		text_escape(&b, table[i].text, table[i].max);
		CHECK_SPAN(buf_span(&b), table[i].shown);
	}
}

/* Else a list of paths could be read in another way. */
static void test_a_path_has_no_brackets_inside(void)
{
	char octets[64];
	struct buf b = BUF(octets);

	text_escape_path(&b, SPAN("\"a>,<b\"@c"), 64);
	CHECK_SPAN(buf_span(&b), "\\x22a\\x3E,\\x3Cb\\x22@c");
}

static void test_never_exceeds_its_limit(void)
{
	char text[40], octets[64];

	for (unsigned seed = 0; seed < 4096; seed++)
		for (size_t max = MAX_LEAST; max <= 32; max++) {
			struct buf b = BUF(octets);
			size_t n = seed % sizeof(text);
			for (size_t i = 0; i < n; i++)
				text[i] = seed >> (i % 12) & 1 ? '\n' : 'x';
			text_escape(&b, (struct span){ text, n }, max);
			CHECK(b.n <= max && !b.overflow);
			CHECK(is_harmless(buf_span(&b)));
		}
}

static void test_every_octet_is_harmless(void)
{
	for (int c = 0; c < 256; c++) {
		char octet = (char)c, octets[64];
		struct buf b = BUF(octets);
		text_escape(&b, (struct span){ &octet, 1 }, sizeof(octets));
		CHECK(b.n == 1 || b.n == 4);
		CHECK(is_harmless(buf_span(&b)));
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_escapes),
		TEST(test_a_path_has_no_brackets_inside),
		TEST(test_never_exceeds_its_limit),
		TEST(test_every_octet_is_harmless),
	};

	return test_main(tests, TEST_COUNT(tests));
}
