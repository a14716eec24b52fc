/* SPDX-License-Identifier: ISC */
/* Events as octets on the wire, and the body with CRLF and back. */
#include "base/buf.h"
#include "unit/milter.h"

static bool wrote(const struct buf *b, struct span want)
{
	bool same = !b->overflow && span_eq(buf_span(b), want);

	for (size_t i = 0; !same && i < b->n; i++)
		fprintf(stderr, "%s%02x", i ? " " : "\tgot: ", (unsigned char)b->p[i]);
	if (!same)
		fprintf(stderr, "\n");
	return same;
}

static void put_mail(struct buf *to)
{
	milter_put_mail(to, SPAN("<a@b>"), SPAN(" SIZE=5  BODY=7BIT "));
}

static void put_null_mail(struct buf *to)
{
	milter_put_mail(to, SPAN("<>"), (struct span){ 0 });
}

static void put_rcpt(struct buf *to)
{
	milter_put_rcpt(to, SPAN("<c@d>"), SPAN("NOTIFY=NEVER"));
}

static void put_helo(struct buf *to)
{
	milter_put_helo(to, SPAN("x"));
}

static void put_unknown(struct buf *to)
{
	milter_put_unknown(to, SPAN("FOO bar"));
}

static void put_body(struct buf *to)
{
	milter_put_body_head(to, MILTER_CHUNK_MAX);
}

static void test_each_event_has_its_octets(void)
{
	static const struct {
		void (*put)(struct buf *to);
		struct span want;
	} cases[] = {
		{ put_helo, DATA("\0\0\0\3Hx\0") },
		{ put_mail, DATA("\0\0\0\30M<a@b>\0SIZE=5\0BODY=7BIT\0") },
		{ put_null_mail, DATA("\0\0\0\4M<>\0") },
		{ put_rcpt, DATA("\0\0\0\24R<c@d>\0NOTIFY=NEVER\0") },
		{ milter_put_data, DATA("\0\0\0\1T") },
		{ milter_put_end_of_header, DATA("\0\0\0\1N") },
		{ put_body, DATA("\0\1\0\0B") },
		{ milter_put_end, DATA("\0\0\0\1E") },
		{ put_unknown, DATA("\0\0\0\11UFOO bar\0") },
		{ milter_put_abort, DATA("\0\0\0\1A") },
		{ milter_put_quit, DATA("\0\0\0\1Q") },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char memory[64];
		struct buf b = BUF(memory);
		cases[i].put(&b);
		if (!CHECK(wrote(&b, cases[i].want)))
			fprintf(stderr, "\tcase %zu\n", i);
		for (size_t cap = 0; cap < cases[i].want.n; cap++) {
			b = (struct buf){ .p = memory, .cap = cap };
			cases[i].put(&b);
			CHECK(b.n == 0 && b.overflow);
		}
	}
}

/* IPv6 text has neither a prefix nor a zone */
static void test_connect_has_a_family_a_port_and_plain_text(void)
{
	static const struct {
		const char *ip;
		struct span want;
	} cases[] = {
		{ "192.0.2.1", DATA("\0\0\0\20Cn\0"
				    "4\x12\x34"
				    "192.0.2.1\0") },
		{ "2001:db8::1", DATA("\0\0\0\22Cn\0"
				      "6\x12\x34"
				      "2001:db8::1\0") },
		{ "::ffff:192.0.2.1", DATA("\0\0\0\20Cn\0"
					   "4\x12\x34"
					   "192.0.2.1\0") },
		{ "", DATA("\0\0\0\4Cn\0U") },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char memory[64];
		struct buf b = BUF(memory);
		struct ip ip = { .n = 0 };
		CHECK(ip_parse(span_of(cases[i].ip), &ip) == (cases[i].ip[0] != '\0'));
		milter_put_connect(&b, SPAN("n"), &ip, 0x1234);
		CHECK(wrote(&b, cases[i].want));
	}
}

static void test_a_field_goes_without_its_line_end_and_with_lf_inside(void)
{
	static const struct {
		struct span field;
		uint32_t options;
		struct span want; /* name and value with their NULs */
		unsigned notes;
	} cases[] = {
		{ DATA("A: b\n"), 0, DATA("A\0b\0"), 0 },
		{ DATA("A: b"), 0, DATA("A\0b\0"), 0 },
		{ DATA("A: b\r\n"), 0, DATA("A\0b\0"), 0 },
		{ DATA("A:b\n"), 0, DATA("A\0b\0"), 0 },
		{ DATA("A:b\r\r\n"), 0, DATA("A\0b\r\0"), 0 },
		{ DATA("A:  b\n"), 0, DATA("A\0 b\0"), 0 },
		{ DATA("A:\tb\n"), 0, DATA("A\0\tb\0"), 0 },
		{ DATA("A: b\n"), MILTER_LEADING_SPACE, DATA("A\0 b\0"), 0 },
		{ DATA("A:b\n"), MILTER_LEADING_SPACE, DATA("A\0b\0"), 0 },
		{ DATA("A:\n"), 0, DATA("A\0\0"), 0 },
		{ DATA("A: \n"), 0, DATA("A\0\0"), 0 },
		{ DATA("A: b \n\tc: d \n"), 0, DATA("A\0b \n\tc: d \0"), 0 },
		{ DATA("A: b\r\n\tc\r\n"), 0, DATA("A\0b\n\tc\0"), 0 },
		{ DATA("A: b\rc\n"), 0, DATA("A\0b\rc\0"), 0 },
		{ DATA("A:\n b\n"), 0, DATA("A\0\n b\0"), 0 },
		{ DATA("A : b\n"), 0, DATA("A\0b\0"), 0 },
		{ DATA("A: b\0c\n"), 0, DATA("A\0b?c\0"), MILTER_FIELD_NUL },
		{ DATA("A: \xc3\xa9\n"), 0, DATA("A\0\xc3\xa9\0"), 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char memory[64];
		struct buf b = BUF(memory);
		unsigned notes = milter_put_field(&b, cases[i].field, cases[i].options);
		CHECK(notes == cases[i].notes);
		CHECK(b.n > 5 && memory[3] == (char)(cases[i].want.n + 1) &&
			memory[4] == 'L');
		if (!CHECK(span_eq(span_from(buf_span(&b), 5), cases[i].want)))
			fprintf(stderr, "\tcase %zu\n", i);
	}
}

/* libmilter closes the connection when more than 65535 octets of data come */
static void test_a_field_of_more_than_64_kib_is_cut(void)
{
	static char field[MILTER_DATA_MAX + 100], memory[MILTER_DATA_MAX + 100];

	for (size_t n = MILTER_DATA_MAX - 3; n <= MILTER_DATA_MAX + 3; n++) {
		struct buf b = BUF(memory);
		unsigned notes;
		memset(field, 'x', sizeof(field));
		field[1] = ':';
		notes = milter_put_field(&b, (struct span){ field, n }, 0);
		/* the colon is not sent, and two NULs are */
		CHECK(notes == (n + 1 > MILTER_DATA_MAX ? MILTER_FIELD_CUT : 0));
		CHECK(b.n ==
			5 + (n + 1 > MILTER_DATA_MAX ? (size_t)MILTER_DATA_MAX : n + 1));
		CHECK(memory[b.n - 1] == '\0');
	}
	memset(field, 'x', sizeof(field));
	field[sizeof(field) - 1] = ':';
	{
		struct buf b = BUF(memory);
		CHECK(milter_put_field(&b, (struct span){ field, sizeof(field) }, 0) ==
			MILTER_FIELD_CUT);
		CHECK(b.n == 5 + MILTER_DATA_MAX);
	}
}

typedef void convert(struct buf *to, struct span *text, bool *cr);

/* Converts in pieces of these sizes, into room for so many octets at once. */
static void check_convert(
	convert *put, struct span text, size_t n_piece, size_t room, struct span want)
{
	char all[64];
	struct buf out = BUF(all);
	bool cr = false;

	while (text.n) {
		struct span piece = { text.p, n_piece < text.n ? n_piece : text.n };
		text = span_from(text, piece.n);
		while (piece.n) {
			char memory[64];
			struct buf b = { .p = memory, .cap = room };
			put(&b, &piece, &cr);
			CHECK(!b.overflow);
			buf_put(&out, buf_span(&b));
		}
	}
	if (put == milter_put_lf)
		milter_put_lf_end(&out, &cr);
	CHECK(wrote(&out, want));
}

static void test_the_body_goes_out_with_crlf_and_comes_back_with_lf(void)
{
	static const struct {
		convert *put;
		struct span text, want;
	} cases[] = {
		{ milter_put_crlf, DATA("a\nb\n"), DATA("a\r\nb\r\n") },
		{ milter_put_crlf, DATA("\n\n"), DATA("\r\n\r\n") },
		{ milter_put_crlf, DATA("a"), DATA("a") },
		{ milter_put_crlf, DATA("a\rb\n"), DATA("a\rb\r\n") },
		{ milter_put_crlf, DATA("a\r\nb"), DATA("a\r\nb") },
		{ milter_put_crlf, DATA("\r\n\n"), DATA("\r\n\r\n") },
		{ milter_put_crlf, DATA("\0\n"), DATA("\0\r\n") },
		{ milter_put_lf, DATA("a\r\nb\r\n"), DATA("a\nb\n") },
		{ milter_put_lf, DATA("a\nb"), DATA("a\nb") },
		{ milter_put_lf, DATA("a\rb"), DATA("a\rb") },
		{ milter_put_lf, DATA("a\r\r\nb"), DATA("a\r\nb") },
		{ milter_put_lf, DATA("a\r"), DATA("a\r") },
		{ milter_put_lf, DATA("\r\r"), DATA("\r\r") },
		{ milter_put_lf, DATA("\r\n\r\n"), DATA("\n\n") },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		for (size_t n = 1; n <= cases[i].text.n; n++)
			for (size_t room = 1; room <= 8; room++)
				check_convert(cases[i].put, cases[i].text, n, room,
					cases[i].want);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_each_event_has_its_octets),
		TEST(test_connect_has_a_family_a_port_and_plain_text),
		TEST(test_a_field_goes_without_its_line_end_and_with_lf_inside),
		TEST(test_a_field_of_more_than_64_kib_is_cut),
		TEST(test_the_body_goes_out_with_crlf_and_comes_back_with_lf),
	};

	return test_main(tests, TEST_COUNT(tests));
}
