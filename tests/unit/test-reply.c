/* SPDX-License-Identifier: ISC */
/* proto/reply: the one table of replies, row by row (RFC 5321 4.2, RFC 2034, RFC 3463). */
#include <ctype.h>
#include "proto/reply.h"
#include "unit/test.h"

static bool is_known_code(unsigned code)
{
	/* RFC 5321 4.2.2 and 4.2.3; 454 and 530: RFC 3207 4; 555: RFC 5321 4.1.1.11; 235, 334, 535, 538: RFC 4954 6 */
	static const unsigned codes[] = { 211, 214, 220, 221, 235, 250, 251, 252, 334,
		353, 354, 421, 450, 451, 452, 454, 455, 500, 501, 502, 503, 504, 530, 535,
		538, 550, 551, 552, 553, 554, 555 };

	for (size_t i = 0; i < TEST_COUNT(codes); i++)
		if (codes[i] == code)
			return true;
	return false;
}

/* status-code = class "." subject "." detail: our rows have a digit each, or two for the last */
static bool is_enhanced(const char *s)
{
	size_t n_detail = strlen(s) > 4 ? strspn(s + 4, "0123456789") : 0;

	return strchr("245", s[0]) && s[1] == '.' && s[2] >= '0' && s[2] <= '7' &&
	       s[3] == '.' && n_detail >= 1 && n_detail <= 2 && !s[4 + n_detail];
}

static void test_every_row_has_a_code_of_smtp(void)
{
	for (enum reply_name i = 0; i < REPLY_COUNT; i++)
		if (!CHECK(is_known_code(reply_get(i)->code)))
			fprintf(stderr, "\trow %u\n", i);
}

/* RFC 2034 4: the first digits agree; none with 220 and EHLO's 250, nor with 353 and 354 (RFC 3463 has no class 3) */
static void test_class_and_enhanced_code_agree(void)
{
	for (enum reply_name i = 0; i < REPLY_COUNT; i++) {
		const struct reply *r = reply_get(i);
		bool is_bare = i == REPLY_READY || i == REPLY_HELLO || r->code / 100 == 3;
		if (is_bare)
			CHECK(r->enhanced[0] == '\0');
		else if (!CHECK(is_enhanced(r->enhanced)) ||
			 !CHECK(r->enhanced[0] == (char)('0' + r->code / 100)))
			fprintf(stderr, "\trow %u: %s\n", i, r->text);
		CHECK(reply_is_positive(r) == (r->code / 100 == 2 || r->code / 100 == 3));
	}
}

static void test_texts_are_short_and_printable(void)
{
	for (enum reply_name i = 0; i < REPLY_COUNT; i++) {
		const struct reply *r = reply_get(i);
		const char *mark = strchr(r->text, '%');
		CHECK(r->text[0] == '%' || isupper((unsigned char)r->text[0]));
		for (const char *c = r->text; *c; c++)
			CHECK(*c >= 32 && *c <= 126 && *c != '"' && *c != '\\');
		CHECK(!mark || !strchr(mark + 1, '%'));
		CHECK(!isspace((unsigned char)r->text[strlen(r->text) - 1]) || mark);
	}
}

static bool is_same(const struct reply *a, const struct reply *b)
{
	return a->code == b->code && strcmp(a->enhanced, b->enhanced) == 0 &&
	       span_ieq(span_of(a->text), span_of(b->text));
}

static void test_no_row_stands_twice(void)
{
	for (enum reply_name i = 0; i < REPLY_COUNT; i++)
		for (enum reply_name j = 0; j < i; j++)
			if (!CHECK(!is_same(reply_get(i), reply_get(j))))
				fprintf(stderr, "\trows %u and %u\n", j, i);
}

/* RFC 5321 4.5.3.1.5: at most 512 octets with CRLF, for any argument */
static void check_line(enum reply_name name, struct span argument)
{
	char octets[4096];
	struct buf b = BUF(octets);

	reply_put(&b, reply_get(name), argument);
	CHECK(!b.overflow && b.n <= REPLY_LINE_MAX);
	CHECK(b.n >= 6 && memcmp(b.p + b.n - 2, "\r\n", 2) == 0);
	CHECK(b.p[3] == ' ');
	for (size_t i = 0; i + 2 < b.n; i++)
		CHECK(b.p[i] >= 32 && b.p[i] <= 126);
}

static void test_no_argument_makes_a_line_too_long(void)
{
	char plain[2000], control[2000], high[2000];

	memset(plain, 'x', sizeof(plain));
	memset(control, '\r', sizeof(control));
	memset(high, 0xff, sizeof(high));
	for (enum reply_name i = 0; i < REPLY_COUNT; i++) {
		check_line(i, (struct span){ 0 });
		check_line(i, (struct span){ plain, sizeof(plain) });
		check_line(i, (struct span){ control, sizeof(control) });
		check_line(i, (struct span){ high, sizeof(high) });
	}
}

struct written {
	enum reply_name name;
	struct span argument;
	const char *text;
};

static void test_writes_replies(void)
{
	static const struct written table[] = {
		{ .name = REPLY_BYE, .text = "221 2.0.0 Closing connection\r\n" },
		{ .name = REPLY_HELLO,
			.argument = { "mail.example.net", 16 },
			.text = "250 mail.example.net\r\n" },
		{ .name = REPLY_HELLO,
			.argument = { "mail.example.net\nA\nB C", 22 },
			.text = "250-mail.example.net\r\n250-A\r\n250 B C\r\n" },
		{ .name = REPLY_PARAMETER_UNKNOWN,
			.argument = { "X\r\"\\", 4 },
			.text = "555 5.5.4 Parameter unknown: X\\x0D\\x22\\x5C\r\n" },
		{ .name = REPLY_START_CONTENT,
			.text = "354 End data with <CR><LF>.<CR><LF>\r\n" },
		{ .name = REPLY_TLS_FIRST,
			.text = "530 5.7.0 Must issue a STARTTLS command first\r\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char octets[1024];
		struct buf b = BUF(octets);
		reply_put(&b, reply_get(table[i].name), table[i].argument);
		CHECK_SPAN(buf_span(&b), table[i].text);
	}
}

static void test_a_record_has_it_on_one_line(void)
{
	char octets[1024];
	struct buf b = BUF(octets);

	reply_put_text(&b, reply_get(REPLY_PARAMETER_UNKNOWN), SPAN("a\nb"));
	CHECK_SPAN(buf_span(&b), "555 5.5.4 Parameter unknown: a\\x0Ab");
}

/* a filter's own words are no row: "%" is itself, and LF divides lines */
static void test_a_reply_of_several_lines_is_sent_as_such(void)
{
	static const struct reply own = { 550, "5.7.1", "one 100%\ntwo\nthree" };
	static const struct reply line = { 451, "", "wait" };
	char octets[1024];
	struct buf b = BUF(octets);

	reply_put(&b, &own, SPAN(""));
	CHECK_SPAN(buf_span(&b),
		"550-5.7.1 one 100%\r\n550-5.7.1 two\r\n550 5.7.1 three\r\n");
	b.n = 0;
	reply_put_text(&b, &own, SPAN(""));
	CHECK_SPAN(buf_span(&b), "550 5.7.1 one 100% two three");
	b.n = 0;
	reply_put(&b, &line, SPAN(""));
	CHECK_SPAN(buf_span(&b), "451 wait\r\n");
	CHECK(reply_has_lines(&own) && !reply_has_lines(&line));
	for (enum reply_name i = 0; i < REPLY_COUNT; i++)
		CHECK(!reply_has_lines(reply_get(i)));
}

static void test_a_record_has_the_beginning_of_a_long_reply(void)
{
	char text[2 * REPLY_ARGUMENT_MAX], octets[REPLY_LINE_MAX];
	const struct reply own = { 550, "5.7.1", text };
	struct buf b = BUF(octets);

	memset(text, 'x', sizeof(text));
	text[REPLY_ARGUMENT_MAX - 1] = '\n';
	text[sizeof(text) - 1] = '\0';
	reply_put_text(&b, &own, SPAN(""));
	CHECK(!b.overflow && b.n < REPLY_LINE_MAX);
	CHECK(span_ends(buf_span(&b), SPAN("xx...")));
	CHECK(!memchr(b.p, '\n', b.n));
}

/* the end of a session is no fault of this host that a message has */
static void test_a_fault_is_a_failure_of_this_host(void)
{
	CHECK(reply_is_fault(reply_get(REPLY_FILTER_FAILED)));
	CHECK(!reply_is_fault(reply_get(REPLY_FILTER_LATER)));
	CHECK(!reply_is_fault(reply_get(REPLY_ACCEPTED)));
	CHECK(!reply_is_fault(reply_get(REPLY_HOPS)));
	/* nor is a reply in the words of a filter */
	CHECK(!reply_is_fault(&(struct reply){ 451, "4.7.1", "wait" }));
	CHECK(!reply_is_fault(reply_get(REPLY_SHUTDOWN)));
	CHECK(!reply_is_fault(reply_get(REPLY_SESSION_TIMEOUT)));
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_every_row_has_a_code_of_smtp),
		TEST(test_class_and_enhanced_code_agree),
		TEST(test_texts_are_short_and_printable),
		TEST(test_no_row_stands_twice),
		TEST(test_no_argument_makes_a_line_too_long),
		TEST(test_writes_replies),
		TEST(test_a_record_has_it_on_one_line),
		TEST(test_a_reply_of_several_lines_is_sent_as_such),
		TEST(test_a_record_has_the_beginning_of_a_long_reply),
		TEST(test_a_fault_is_a_failure_of_this_host),
	};

	return test_main(tests, TEST_COUNT(tests));
}
