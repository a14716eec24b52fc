/* SPDX-License-Identifier: ISC */
/* proto/dsn: only the header of a message, unchanged, in an encoding for mail. */
#include <stdlib.h>
#include "proto/dsn.h"
#include "unit/test.h"

#define MEMORY_MAX 4096
#define BOUNDARY "=_boundary"

/* Passes `text` in two pieces, and writes the kept header in pieces of `room`. */
static struct span returned_of(
	struct span text, size_t first, size_t cap, bool utf8, size_t room, char *to)
{
	char memory[MEMORY_MAX];
	struct returned r = { .text = { .p = memory, .cap = cap } };
	size_t n = 0;
	bool end;

	returned_take(&r, (struct span){ text.p, first });
	returned_take(&r, span_from(text, first));
	returned_seal(&r, SPAN(BOUNDARY), utf8);
	to[n++] = "78Q"[r.encoding];
	to[n++] = ' ';
	do {
		struct buf b = { .p = to + n, .cap = room };
		end = returned_put(&r, &b);
		REQUIRE(end || b.n);
		n += b.n;
	} while (!end);
	return (struct span){ to, n };
}

struct row {
	struct span text;
	const char *want; /* after the letter of the encoding */
	bool utf8;
	size_t cap; /* 0: enough */
};

static void check(const struct row *row)
{
	size_t cap = row->cap ? row->cap : MEMORY_MAX;
	char got[4 * MEMORY_MAX];

	for (size_t first = 0; first <= row->text.n; first++) {
		if (!CHECK_SPAN(returned_of(row->text, first, cap, row->utf8,
					sizeof(got) - 2, got),
			    row->want))
			return;
		CHECK_SPAN(
			returned_of(row->text, first, cap, row->utf8, RETURNED_ROOM, got),
			row->want);
	}
}

#define TEXT(literal) .text = { literal, sizeof(literal) - 1 }

static void test_the_header_is_returned_as_it_came(void)
{
	static const struct row rows[] = {
		{ TEXT("A: b\nC:\n\td\n e\n\nbody\n"), .want = "7 A: b\nC:\n\td\n e\n" },
		{ TEXT("A: b\n\n"), .want = "7 A: b\n" },
		{ TEXT("A: b\n"), .want = "7 A: b\n" },
		{ TEXT("A: b"), .want = "7 A: b\n" },
		{ TEXT("A : b\nC\t:\n"), .want = "7 A : b\nC\t:\n" },
		{ TEXT("A: b  \nC: \t\n\n"), .want = "7 A: b  \nC: \t\n" },
		/* BINARYMIME */
		{ TEXT("A: b\r\nC: d\r\n\r\nbody\r\n"), .want = "7 A: b\nC: d\n" },
		/* no header at all */
		{ TEXT(""), .want = "7 " },
		{ TEXT("\n"), .want = "7 " },
		{ TEXT("\r\nA: b\r\n"), .want = "7 " },
		{ TEXT("\nA: b\n\n"), .want = "7 " },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		check(&rows[i]);
}

/* RFC 8689 5, RFC 3461 4.3: nothing of the content, even where nothing divides it from the header. */
static void test_the_first_line_that_is_no_field_ends_it(void)
{
	static const struct row rows[] = {
		{ TEXT("A: b\nDear Bob,\nC: d\n\n"), .want = "7 A: b\n" },
		{ TEXT("A: b\n: c\n"), .want = "7 A: b\n" },
		{ TEXT("A: b\nno colon"), .want = "7 A: b\n" },
		{ TEXT("A: b\nname\nC: d\n"), .want = "7 A: b\n" },
		{ TEXT("A: b\nname \nC: d\n"), .want = "7 A: b\n" },
		{ TEXT("Dear Bob,\n\nA: b\n"), .want = "7 " },
		{ TEXT(" continued\nA: b\n"), .want = "7 " },
		{ TEXT("From a@b Mon: x\nA: b\n"), .want = "7 " },
		{ TEXT("A b: c\n"), .want = "7 " },
		{ TEXT("\xc3\xa9: c\n"), .want = "7 " },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		check(&rows[i]);
}

static void test_what_does_not_fit_is_cut_at_a_line(void)
{
	static const struct row rows[] = {
		{ TEXT("A: b\nC: d\n\n"), .want = "7 A: b\nC: d\n", .cap = 10 },
		{ TEXT("A: b\nC: d\n\n"), .want = "7 A: b\n", .cap = 9 },
		{ TEXT("A: b\nC: d\n\n"), .want = "7 A: b\n", .cap = 5 },
		{ TEXT("A: b\nC: d\n\n"), .want = "7 ", .cap = 4 },
		{ TEXT("A: b\r\nC: d\r\n"), .want = "7 A: b\n", .cap = 9 },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		check(&rows[i]);
}

static void test_what_mail_cannot_carry_is_encoded(void)
{
	static const struct row rows[] = {
		/* 8-bit octets of everyday mail: RFC 6522 4 */
		{ TEXT("A: caf\xe9\nB: x=y\n\n"), .want = "Q A: caf=E9\nB: x=3Dy\n" },
		{ TEXT("A: caf\xc3\xa9\n"), .want = "Q A: caf=C3=A9\n" },
		{ TEXT("A: caf\xc3\xa9\n"), .want = "8 A: caf\xc3\xa9\n", .utf8 = true },
		{ TEXT("A: caf\xe9\n"), .want = "Q A: caf=E9\n", .utf8 = true },
		{ TEXT("A: b\n"), .want = "7 A: b\n", .utf8 = true },
		/* controls */
		{ TEXT("A: \0\x01\x7f\n"), .want = "Q A: =00=01=7F\n" },
		{ TEXT("A: b\x7f\n"), .want = "Q A: b=7F\n" },
		{ TEXT("A: b\rC\r\r\n"), .want = "Q A: b=0DC=0D\n" },
		/* blanks at the end of a line (RFC 2045 6.7) */
		{ TEXT("A: \xe9 \nB:\t\nC: \t\n\n"),
			.want = "Q A: =E9=20\nB:=09\nC: =09\n" },
		/* our boundary */
		{ TEXT("A: b\nC:\n --=_boundary\n"),
			.want = "Q A: b\nC:\n --=3D_boundary\n" },
		{ TEXT("--=_boundary: x\n"), .want = "Q --=3D_boundary: x\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		check(&rows[i]);
}

/* RFC 2045 2.8, 6.7: lines of at most 998 octets, and 76 in quoted-printable */
static void test_long_lines_are_folded_by_the_encoding(void)
{
	char text[MEMORY_MAX], got[4 * MEMORY_MAX];
	struct span s = { text, 1000 };
	size_t n_line = 0;

	memset(text, 'x', sizeof(text));
	text[1] = ':';
	text[998] = '\n';
	text[999] = '\n';
	CHECK(returned_of(s, 0, MEMORY_MAX, false, 4096, got).n == 2 + 999);
	CHECK(got[0] == '7');
	text[998] = '=';
	text[999] = '\n';
	s = returned_of(s, 0, MEMORY_MAX, true, 4096, got);
	CHECK(got[0] == 'Q');
	for (size_t i = 2; i < s.n; i++) {
		n_line = s.p[i] == '\n' ? 0 : n_line + 1;
		CHECK(n_line <= 76);
	}
	/* 1000 octets and their soft line ends; "=" became three */
	CHECK(s.n == 2 + 1000 + 2 + 2 * 13);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_the_header_is_returned_as_it_came),
		TEST(test_the_first_line_that_is_no_field_ends_it),
		TEST(test_what_does_not_fit_is_cut_at_a_line),
		TEST(test_what_mail_cannot_carry_is_encoded),
		TEST(test_long_lines_are_folded_by_the_encoding),
	};

	return test_main(tests, TEST_COUNT(tests));
}
