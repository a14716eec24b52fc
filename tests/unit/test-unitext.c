/* SPDX-License-Identifier: ISC */
/* proto/text (RFC 6533 3): addresses of the type utf-8, and their decoded text. */
#include "proto/text.h"
#include "unit/test.h"

static void test_valid_text_is_decoded(void)
{
	static const struct {
		const char *text, *stands_for;
	} cases[] = {
		{ "bob@example.org", "bob@example.org" },
		{ "!#*,-<>[]^{|}~", "!#*,-<>[]^{|}~" },
		{ "\\x{20}\\x{2B}\\x{3D}\\x{5C}", " +=\\" },
		{ "\\x{2b}\\x{3d}\\x{5c}", "+=\\" },
		{ "caf\\x{E9}@example.org", "caf\xc3\xa9@example.org" },
		{ "\\x{A0}\\x{FF}", "\xc2\xa0\xc3\xbf" },
		{ "\\x{100}\\x{7FF}\\x{800}\\x{FFF}",
			"\xc4\x80\xdf\xbf\xe0\xa0\x80\xe0\xbf\xbf" },
		{ "\\x{1000}\\x{D7FF}\\x{E000}\\x{FFFF}",
			"\xe1\x80\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf" },
		{ "\\x{10000}\\x{1F4EC}\\x{1f4ec}\\x{FFFFF}",
			"\xf0\x90\x80\x80\xf0\x9f\x93\xac\xf0\x9f\x93\xac"
			"\xf3\xbf\xbf\xbf" },
		{ "\\x{100000}\\x{10FFFF}", "\xf4\x80\x80\x80\xf4\x8f\xbf\xbf" },
		{ "x{20}", "x{20}" },
		{ "\\x{5C}x{20}", "\\x{20}" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char octets[64];
		struct buf b = BUF(octets);
		if (!CHECK(unitext_valid(span_of(cases[i].text), false)))
			fprintf(stderr, "\t%s\n", cases[i].text);
		unitext_put(&b, span_of(cases[i].text));
		CHECK(b.n <= strlen(cases[i].text));
		CHECK_SPAN(buf_span(&b), cases[i].stands_for);
	}
}

/* The other two forms are for transactions with SMTPUTF8. */
static void test_utf8_itself_needs_leave(void)
{
	static const char *const cases[] = { "\xc3\xa9@example.org",
		"\xe2\x82\xac\\x{20AC}", "\xf0\x9f\x93\xac" };
	char octets[64];
	struct buf b = BUF(octets);

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		CHECK(unitext_valid(span_of(cases[i]), true));
		CHECK(!unitext_valid(span_of(cases[i]), false));
	}
	unitext_put(&b, span_of(cases[1]));
	CHECK_SPAN(buf_span(&b), "\xe2\x82\xac\xe2\x82\xac");
}

static void test_all_else_is_refused(void)
{
	static const struct span cases[] = {
		{ "", 0 },
		/* to be embedded */
		{ "a b", 3 },
		{ "a+b", 3 },
		{ "a=b", 3 },
		{ "a\\b", 3 },
		{ "\t", 1 },
		{ "\x7f", 1 },
		{ "a\0b", 3 },
		/* not UTF-8 */
		{ "\xe9", 1 },
		{ "\xc0\x80", 2 },
		{ "\xed\xa0\x80", 3 },
		{ "a\xc3", 2 },
		/* not embedded as it should be */
		{ "\\", 1 },
		{ "\\x", 2 },
		{ "\\x{", 3 },
		{ "\\x{20", 5 },
		{ "\\x20", 4 },
		{ "\\X{20}", 6 },
		{ "\\x{}", 4 },
		{ "\\x{0}", 5 },
		{ "\\x{8}", 5 },
		{ "\\x{G0}", 6 },
		{ "\\x{2 }", 6 },
		{ "\\x{-1}", 6 },
		/* another spelling is the one */
		{ "\\x{41}", 6 },
		{ "\\x{2A}", 6 },
		{ "\\x{020}", 7 },
		{ "\\x{0E9}", 7 },
		{ "\\x{0100}", 8 },
		{ "\\x{020AC}", 9 },
		{ "\\x{0020AC}", 10 },
		{ "\\x{00020AC}", 11 },
		/* no characters */
		{ "\\x{D800}", 8 },
		{ "\\x{DFFF}", 8 },
		{ "\\x{110000}", 10 },
		{ "\\x{FFFFFF}", 10 },
		{ "\\x{1000000}", 11 },
		/* no address has them */
		{ "\\x{00}", 6 },
		{ "\\x{01}", 6 },
		{ "\\x{09}", 6 },
		{ "\\x{0A}", 6 },
		{ "\\x{0D}", 6 },
		{ "\\x{13}", 6 },
		{ "\\x{7F}", 6 },
		{ "\\x{80}", 6 },
		{ "\\x{85}", 6 },
		{ "\\x{9F}", 6 },
		{ "\xc2\x85", 2 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		if (!CHECK(!unitext_valid(cases[i], true)))
			fprintf(stderr, "\t%.*s\n", (int)cases[i].n, cases[i].p);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_valid_text_is_decoded),
		TEST(test_utf8_itself_needs_leave),
		TEST(test_all_else_is_refused),
	};

	return test_main(tests, TEST_COUNT(tests));
}
