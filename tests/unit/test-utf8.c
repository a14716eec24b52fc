/* SPDX-License-Identifier: ISC */
/* proto/text: RFC 3629 4, at its boundaries and then for every character and every start of one. */
#include <stdint.h>
#include "proto/text.h"
#include "unit/test.h"

struct start {
	struct span text;
	size_t n; /* octets of the first character; 0: none */
};

#define TEXT(literal, length)                                                            \
	{                                                                                \
		{ literal, sizeof(literal) - 1 }, length                                 \
	}

static const struct start starts[] = {
	TEXT("", 0),
	TEXT("\0", 1),
	TEXT("a", 1),
	TEXT("ab", 1),
	TEXT("\x7f", 1),
	/* the first and the last of each length, U+0080 to U+10FFFF */
	TEXT("\xc2\x80", 2),
	TEXT("\xdf\xbf", 2),
	TEXT("\xe0\xa0\x80", 3),
	TEXT("\xef\xbf\xbf", 3),
	TEXT("\xf0\x90\x80\x80", 4),
	TEXT("\xf4\x8f\xbf\xbf", 4),
	/* and the code points beside surrogates */
	TEXT("\xed\x9f\xbf", 3),
	TEXT("\xee\x80\x80", 3),
	/* followed by anything */
	TEXT("\xc3\xa9z", 2),
	TEXT("\xc3\xa9\xff", 2),
	TEXT("\xe2\x82\xac\x80", 3),
	TEXT("\xf0\x9f\x93\xac\xf0", 4),
	/* a tail without a lead */
	TEXT("\x80", 0),
	TEXT("\xbf", 0),
	TEXT("\x80\x80", 0),
	/* longer than need be: "/", NUL, U+007F, U+07FF, U+FFFF */
	TEXT("\xc0\xaf", 0),
	TEXT("\xc0\x80", 0),
	TEXT("\xc1\xbf", 0),
	TEXT("\xe0\x80\xaf", 0),
	TEXT("\xe0\x9f\xbf", 0),
	TEXT("\xf0\x80\x80\xaf", 0),
	TEXT("\xf0\x8f\xbf\xbf", 0),
	/* surrogates, alone and in pairs */
	TEXT("\xed\xa0\x80", 0),
	TEXT("\xed\xbf\xbf", 0),
	TEXT("\xed\xa0\xbd\xed\xb3\xac", 0),
	/* above U+10FFFF, five and six octets, octets that are never used */
	TEXT("\xf4\x90\x80\x80", 0),
	TEXT("\xf5\x80\x80\x80", 0),
	TEXT("\xf8\x88\x80\x80\x80", 0),
	TEXT("\xfc\x84\x80\x80\x80\x80", 0),
	TEXT("\xfe", 0),
	TEXT("\xff", 0),
	/* cut off, and broken off by something else */
	TEXT("\xc3", 0),
	TEXT("\xc3z", 0),
	TEXT("\xc3\xc3\xa9", 0),
	TEXT("\xe2\x82", 0),
	TEXT("\xe2\x82z", 0),
	TEXT("\xe2z\xac", 0),
	TEXT("\xf0\x9f\x93", 0),
	TEXT("\xf0\x9f\x93z", 0),
	TEXT("\xf0\x9fz\xac", 0),
	TEXT("\xf0\x9f\x93\xff", 0),
};

static void test_finds_the_first_character(void)
{
	for (size_t i = 0; i < TEST_COUNT(starts); i++)
		if (!CHECK(utf8_length(starts[i].text) == starts[i].n))
			fprintf(stderr, "\trow %zu\n", i);
}

/* The encoding of a number, whether it is a character or not; as many octets as it needs. */
static size_t encode(uint32_t c, char *to)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (n == 1) {
		to[0] = (char)c;
		return 1;
	}
	for (size_t i = n; i-- > 1; c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)((0xf00 >> n & 0xff) | c);
	return n;
}

/* Each character is known by its octets, and by no part of them. */
static void test_knows_every_character(void)
{
	for (uint32_t c = 0; c < 0x120000 && !test_failed; c++) {
		bool is_character = c < 0xd800 || (c > 0xdfff && c <= 0x10ffff);
		char octets[4];
		size_t n = encode(c, octets);
		CHECK(utf8_length((struct span){ octets, n }) == (is_character ? n : 0));
		CHECK(utf8_valid((struct span){ octets, n }) == is_character);
		for (size_t i = 1; i < n; i++) {
			CHECK(utf8_length((struct span){ octets, i }) == 0);
			CHECK(utf8_length((struct span){ octets + i, n - i }) == 0);
		}
	}
}

/* Of all starts of two octets, those alone that some character has. */
static void test_knows_no_other(void)
{
	static bool begins[0x10000];

	for (uint32_t c = 0x80; c <= 0x10ffff; c++) {
		char octets[4];
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		encode(c, octets);
		begins[(unsigned char)octets[0] << 8 | (unsigned char)octets[1]] = true;
	}
	for (size_t i = 0x8000; i < 0x10000; i++) {
		char octets[] = { (char)(i >> 8), (char)i, '\x80', '\xbf' };
		CHECK((utf8_length((struct span){ octets, 4 }) > 0) == begins[i]);
	}
}

static void test_judges_whole_texts(void)
{
	CHECK(utf8_valid(SPAN("")));
	CHECK(utf8_valid(SPAN("plain")));
	CHECK(utf8_valid(SPAN("jos\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xac")));
	CHECK(!utf8_valid(SPAN("jos\xe9")));
	CHECK(!utf8_valid(SPAN("jos\xc3")));
	CHECK(!utf8_valid(SPAN("\xff plain")));
	CHECK(utf8_is_ascii(SPAN("")));
	CHECK(utf8_is_ascii(SPAN("plain\x7f")));
	CHECK(!utf8_is_ascii(SPAN("plain\x80")));
	CHECK(!utf8_is_ascii(SPAN("\xc3\xa9")));
}

/* RFC 6532 3.1, without the control characters */
static void test_addresses_hold_no_control_characters(void)
{
	for (uint32_t c = 0; c <= 0x10ffff && !test_failed; c++) {
		bool is_surrogate = c >= 0xd800 && c <= 0xdfff;
		char octets[4];
		size_t n = encode(c, octets);
		size_t want = c < 0xa0 || is_surrogate ? 0 : n;
		CHECK(utf8_non_ascii((struct span){ octets, n }) == want);
	}
	CHECK(utf8_non_ascii(SPAN("")) == 0);
	CHECK(utf8_non_ascii(SPAN("\xc2")) == 0);
	CHECK(utf8_non_ascii(SPAN("\xff")) == 0);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_finds_the_first_character),
		TEST(test_knows_every_character),
		TEST(test_knows_no_other),
		TEST(test_judges_whole_texts),
		TEST(test_addresses_hold_no_control_characters),
	};

	return test_main(tests, TEST_COUNT(tests));
}
