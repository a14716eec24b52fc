/* SPDX-License-Identifier: ISC */
/* proto/text (RFC 4648): valid base64, its octets, and that each value has only one spelling. */
#include "proto/text.h"
#include "unit/test.h"

static const struct {
	struct span octets;
	const char *text;
} pairs[] = {
	/* RFC 4648 10 */
	{ { "", 0 }, "" },
	{ { "f", 1 }, "Zg==" },
	{ { "fo", 2 }, "Zm8=" },
	{ { "foo", 3 }, "Zm9v" },
	{ { "foob", 4 }, "Zm9vYg==" },
	{ { "fooba", 5 }, "Zm9vYmE=" },
	{ { "foobar", 6 }, "Zm9vYmFy" },
	/* RFC 4648 9 */
	{ { "\x14\xfb\x9c\x03\xd9\x7e", 6 }, "FPucA9l+" },
	{ { "\x14\xfb\x9c\x03\xd9", 5 }, "FPucA9k=" },
	{ { "\x14\xfb\x9c\x03", 4 }, "FPucAw==" },
	/* all of the alphabet */
	{ { "\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51"
	    "\x55\x97\x61\x96\x9b\x71\xd7\x9f\x82\x18\xa3\x92\x59\xa7\xa2\x9a"
	    "\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf",
		  48 },
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" },
	{ { "\0", 1 }, "AA==" },
	{ { "\0user\0secret", 12 }, "AHVzZXIAc2VjcmV0" },
	{ { "\xff\xff\xff", 3 }, "////" },
};

static void test_octets_and_text_stand_for_each_other(void)
{
	for (size_t i = 0; i < TEST_COUNT(pairs); i++) {
		char text[128], octets[128];
		struct buf to = BUF(text), back = BUF(octets);
		base64_put(&to, pairs[i].octets);
		CHECK(!to.overflow);
		CHECK_SPAN(buf_span(&to), pairs[i].text);
		CHECK(base64_take(span_of(pairs[i].text), &back));
		CHECK(span_eq(buf_span(&back), pairs[i].octets));
	}
}

/* RFC 4648 3.2 to 3.5 */
static void test_all_else_is_refused(void)
{
	static const struct span cases[] = {
		/* no whole quantum */
		{ "A", 1 },
		{ "AB", 2 },
		{ "ABC", 3 },
		{ "ABCDE", 5 },
		{ "Zg=", 3 },
		{ "Zg", 2 },
		{ "Zm9vYg", 6 },
		/* padding that stands for nothing, or stands elsewhere */
		{ "=", 1 },
		{ "==", 2 },
		{ "====", 4 },
		{ "A===", 4 },
		{ "Zm9v====", 8 },
		{ "Zg==Zg==", 8 },
		{ "Zm8=Zm9v", 8 },
		{ "=Zm9", 4 },
		{ "Z=9v", 4 },
		{ "Zm=v", 4 },
		{ "Zg===", 5 },
		{ "Zg==\n", 5 },
		/* bits that no octet has */
		{ "Zh==", 4 },
		{ "Zv==", 4 },
		{ "Z/==", 4 },
		{ "Zm9=", 4 },
		{ "Zm+=", 4 },
		/* outside the alphabet */
		{ "Zm9-", 4 },
		{ "Zm9_", 4 },
		{ "Zm9 ", 4 },
		{ " Zm9", 4 },
		{ "Zm\r\n", 4 },
		{ "Zm9*", 4 },
		{ "****", 4 },
		{ "Zm9\0", 4 },
		{ "\0\0\0\0", 4 },
		{ "Zm\xc3\xa4", 4 },
		{ "Zm9\xff", 4 },
		{ "Zg=\0", 4 },
		{ "Zm9vZm9\x80", 8 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char octets[64];
		struct buf b = BUF(octets);
		if (!CHECK(!base64_take(cases[i], &b)))
			fprintf(stderr, "\tcase %zu: %s\n", i, cases[i].p);
	}
}

/* Each octet in each place of a quantum: 64 of them are letters. */
static void test_every_octet_in_every_place(void)
{
	static const char *const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t place = 0; place < 4; place++)
		for (unsigned c = 0; c < 256; c++) {
			char text[4] = { 'A', 'A', 'A', 'A' }, octets[8], again[8];
			struct buf b = BUF(octets), back = BUF(again);
			bool is_letter = c && strchr(alphabet, (char)c);
			text[place] = (char)c;
			/* "AAA=" has padding where it may be */
			CHECK(base64_take((struct span){ text, 4 }, &b) ==
				(is_letter || (place == 3 && c == '=')));
			if (!is_letter)
				continue;
			base64_put(&back, buf_span(&b));
			CHECK(span_eq(buf_span(&back), (struct span){ text, 4 }));
		}
}

static void test_every_length(void)
{
	char octets[100], text[200], again[100];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (char)(i * 37);
	for (size_t n = 0; n < sizeof(octets); n++) {
		struct buf to = BUF(text), back = BUF(again);
		base64_put(&to, (struct span){ octets, n });
		CHECK(!to.overflow && to.n == (n + 2) / 3 * 4);
		CHECK(base64_take(buf_span(&to), &back));
		CHECK(span_eq(buf_span(&back), (struct span){ octets, n }));
	}
}

static void test_what_does_not_fit_is_told(void)
{
	char small[2];
	struct buf b = BUF(small), text = BUF(small);

	CHECK(base64_take(SPAN("Zm8="), &b) && b.n == 2);
	b = BUF(small);
	CHECK(!base64_take(SPAN("Zm9v"), &b) && b.overflow);
	base64_put(&text, SPAN("f"));
	CHECK(text.overflow);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_octets_and_text_stand_for_each_other),
		TEST(test_all_else_is_refused),
		TEST(test_every_octet_in_every_place),
		TEST(test_every_length),
		TEST(test_what_does_not_fit_is_told),
	};

	return test_main(tests, TEST_COUNT(tests));
}
