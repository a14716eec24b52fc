/* SPDX-License-Identifier: ISC */
/* proto/text (RFC 3461 4): valid xtext, and its decoded text. */
#include "proto/text.h"
#include "unit/test.h"

static void test_valid_text_is_decoded(void)
{
	static const struct {
		const char *text, *stands_for;
	} cases[] = {
		{ "", "" },
		{ "QQ314159", "QQ314159" },
		{ "Bob@Example.COM", "Bob@Example.COM" },
		{ "!\"#$%&'()*,-./09:;<>?@AZ[\\]^_`az{|}~",
			"!\"#$%&'()*,-./09:;<>?@AZ[\\]^_`az{|}~" },
		{ "+2B", "+" },
		{ "+3D", "=" },
		{ "a+20b", "a b" },
		{ "+41+42+7A", "ABz" },
		{ "+7E", "~" },
		{ "+2B2B", "+2B" },
		{ "+2B+2B", "++" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char octets[64];
		struct buf b = BUF(octets);
		if (!CHECK(xtext_valid(span_of(cases[i].text))))
			fprintf(stderr, "\t%s\n", cases[i].text);
		xtext_put(&b, span_of(cases[i].text));
		CHECK(!b.overflow);
		CHECK_SPAN(buf_span(&b), cases[i].stands_for);
	}
}

static void test_all_else_is_refused(void)
{
	static const struct span cases[] = {
		/* not xchar */
		{ "a b", 3 },
		{ "a=b", 3 },
		{ "\t", 1 },
		{ "\x7f", 1 },
		{ "caf\xc3\xa9", 5 },
		{ "a\0b", 3 },
		/* hexchar: two digits, in upper case */
		{ "+", 1 },
		{ "a+", 2 },
		{ "+2", 2 },
		{ "+2b", 3 },
		{ "+2G", 3 },
		{ "+G2", 3 },
		{ "++2B", 4 },
		{ "+-1", 3 },
		{ "+\0"
		  "0",
			3 },
		{ "+4\0", 3 },
		/* a report can carry nothing but printable US-ASCII */
		{ "a+0Ab", 5 },
		{ "a+0Db", 5 },
		{ "+00", 3 },
		{ "+09", 3 },
		{ "+1F", 3 },
		{ "+7F", 3 },
		{ "+80", 3 },
		{ "+C3+A9", 6 },
		{ "+FF", 3 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		if (!CHECK(!xtext_valid(cases[i])))
			fprintf(stderr, "\t%.*s\n", (int)cases[i].n, cases[i].p);
}

/* Each octet itself, and as "+" with two digits. */
static void test_every_octet(void)
{
	for (unsigned c = 0; c < 256; c++) {
		char plain = (char)c, hex[4];
		bool graphic = c > 32 && c < 127;
		snprintf(hex, sizeof(hex), "+%02X", c);
		CHECK(xtext_valid((struct span){ &plain, 1 }) ==
			(graphic && c != '+' && c != '='));
		CHECK(xtext_valid(span_of(hex)) == (graphic || c == ' '));
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_valid_text_is_decoded),
		TEST(test_all_else_is_refused),
		TEST(test_every_octet),
	};

	return test_main(tests, TEST_COUNT(tests));
}
