/* SPDX-License-Identifier: ISC */
#include "proto/transcript.h"
#include "test.h"

static struct span shown(struct buf *b)
{
	return buf_span(b);
}

/* Each piece ends at "|". */
static void put_pieces(struct transcript *t, struct buf *to, const char *pieces,
	void (*put)(struct transcript *t, struct buf *to, struct span piece))
{
	while (*pieces) {
		size_t n = strcspn(pieces, "|");
		put(t, to, (struct span){ pieces, n });
		pieces += n + (pieces[n] == '|');
	}
}

static void test_commands_are_lines_or_octets(void)
{
	static const struct {
		const char *pieces, *want;
	} table[] = {
		{ "EHLO x\r\n", "C: EHLO x\n" },
		{ "\r\n", "C:\n" },
		{ "NOOP\n", "C> NOOP\\n\n" },
		{ "NO\rOP\r\n", "C> NO\\rOP\\r\\n\n" },
		{ "a\\b\r\n", "C: a\\b\n" },
		{ "a\\b\n", "C> a\\\\b\\n\n" },
		{ "\xc3\xa4\x7f\x01\r\n", "C> \\xC3\\xA4\\x7F\\x01\\r\\n\n" },
		{ "abc|def\r\n|NOOP\r\n", "C> abc\nC> def\\r\\n\nC: NOOP\n" },
		{ "  # no comment\r\n", "C:   # no comment\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct transcript t = { 0 };
		char octets[1024];
		struct buf b = BUF(octets);
		put_pieces(&t, &b, table[i].pieces, transcript_command);
		CHECK_SPAN(shown(&b), table[i].want);
	}
}

/* RFC 4954 4: an initial response, of any length, in any case, after any blanks */
static void test_what_authenticates_is_masked(void)
{
	static const struct {
		const char *pieces, *want;
	} table[] = {
		{ "AUTH PLAIN AGpvaG4Ac2VjcmV0\r\n", "C: AUTH PLAIN ****\n" },
		{ "auth \t plain  AGpvaG4Ac2VjcmV0\r\n", "C: AUTH plain ****\n" },
		{ "Auth x AGpv|aG4Ac2VjcmV0|MORE\r\n|NOOP\r\n",
			"C: AUTH x ****\nC: NOOP\n" },
		{ "AUTH PLAIN AGpv|AUTH secret\r\n|MAIL\r\n",
			"C: AUTH PLAIN ****\nC: MAIL\n" },
		{ "AUTH a\\b c\n", "C: AUTH a\\\\b ****\n" },
		{ "AUTH PLAIN\r\n", "C: AUTH PLAIN\n" },
		{ "AUTH SCRAM-SHA-256-PLUS-X\r\n", "C: AUTH ****\n" },
		{ "AUTH AHVzZXIAc2VjcmV0c2VjcmV0|more\r\n|NOOP\r\n",
			"C: AUTH ****\nC: NOOP\n" },
		{ "AUTHOR x y\r\n", "C: AUTHOR x y\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct transcript t = { 0 };
		char octets[1024];
		struct buf b = BUF(octets);
		put_pieces(&t, &b, table[i].pieces, transcript_command);
		CHECK_SPAN(shown(&b), table[i].want);
	}
}

/* RFC 4954 4: the response to a challenge, and the challenge itself */
static void test_responses_and_challenges_are_masked(void)
{
	struct transcript t = { 0 };
	char octets[256];
	struct buf b = BUF(octets);

	transcript_command(&t, &b, SPAN("AUTH LOGIN\r\n"));
	transcript_reply(&b, SPAN("334 VXNlcm5hbWU6\r\n"));
	transcript_response(&b);
	transcript_reply(&b, SPAN("334 "));
	transcript_response(&b);
	transcript_reply(&b, SPAN("235 2.7.0 Authentication successful\r\n"));
	transcript_command(&t, &b, SPAN("NOOP\r\n"));
	CHECK_SPAN(shown(&b), "C: AUTH LOGIN\nS: 334 ...\nC: ****\nS: 334 ...\nC: ****\n"
			      "S: 235 2.7.0 Authentication successful\nC: NOOP\n");
}

struct cut {
	bool whole;
	const char *pieces, *want;
};

static void test_of_content_the_header_is_shown(void)
{
	static const struct cut table[] = {
		{ .pieces = "Subject: x\r\n|\ty\r\n|\r\n|secret\r\n",
			.want = "C: Subject: x\nC> \\x09y\\r\\n\nC:\n" },
		{ .pieces = "secret\r\n", .want = "" },
		{ .pieces = "Subject: x\r\n|se cret: x\r\n|A: b\r\n",
			.want = "C: Subject: x\n" },
		{ .pieces = "Subject: lo|ng secret: no\r\n|\r\n|x",
			.want = "C> Subject: lo\nC> ng secret: no\\r\\n\nC:\n" },
		{ .pieces = "Subject: x\r\n|\n|secret\r\n", .want = "C: Subject: x\n" },
		{ .pieces = "Subject\r\n|secret\r\n", .want = "" },
		{ .whole = true,
			.pieces = "a\r\n|\r\n|.\r\n",
			.want = "C: a\nC:\nC: .\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct transcript t = { .whole = table[i].whole };
		char octets[1024];
		struct buf b = BUF(octets);
		put_pieces(&t, &b, table[i].pieces, transcript_content);
		CHECK_SPAN(shown(&b), table[i].want);
	}
}

/* As many octets as were there, in lines. */
static void test_what_is_left_out_has_its_length(void)
{
	static const struct {
		uint64_t n;
		const char *want;
	} table[] = {
		{ 0, "" },
		{ 1, "# content left out: this is as long\nC> x\n" },
		{ 2, "# content left out: this is as long\nC> \\r\\n\n" },
		{ 3, "# content left out: this is as long\nC> \\{1*x}\\r\\n\n" },
		{ 78, "# content left out: this is as long\nC*1> \\{76*x}\\r\\n\n" },
		{ 79, "# content left out: this is as long\nC> \\{77*x}\\r\\n\n" },
		{ 157, "# content left out: this is as long\nC*1> \\{76*x}\\r\\n\n"
		       "C> \\{77*x}\\r\\n\n" },
		{ 160, "# content left out: this is as long\nC*2> \\{76*x}\\r\\n\n"
		       "C> \\{2*x}\\r\\n\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct transcript t = { .n_cut = table[i].n };
		char octets[1024];
		struct buf b = BUF(octets);
		transcript_content_end(&t, &b);
		CHECK_SPAN(shown(&b), table[i].want);
		CHECK(t.n_cut == 0);
	}
}

static void test_the_next_message_begins_with_its_header(void)
{
	struct transcript t = { 0 };
	char octets[1024];
	struct buf b = BUF(octets);

	put_pieces(&t, &b, "A: b\r\n|\r\n|", transcript_content);
	CHECK(t.past_header);
	put_pieces(&t, &b, "BDAT 5\r\n|", transcript_command);
	CHECK(t.past_header);
	put_pieces(&t, &b, "mail FROM:<>\r\n|", transcript_command);
	CHECK(!t.past_header);
}

static void test_replies_leave_open_what_is_never_the_same(void)
{
	static const struct {
		const char *line, *want;
	} table[] = {
		{ "250-mail.example.net\r\n", "S: 250-mail.example.net\n" },
		{ "250 2.6.0 Delivered as 1796116087.M42P7Q1\r\n",
			"S: 250 2.6.0 Delivered as ...\n" },
		{ "221 2.0.0 Closing connection\r\n",
			"S: 221 2.0.0 Closing connection\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char octets[256];
		struct buf b = BUF(octets);
		transcript_reply(&b, span_of(table[i].line));
		CHECK_SPAN(shown(&b), table[i].want);
	}
}

/* The worst that a piece can come to. */
static void test_room_is_enough(void)
{
	char piece[TRANSCRIPT_PIECE_MAX], octets[TRANSCRIPT_ROOM];
	struct buf b = BUF(octets);
	struct transcript t = { .whole = true };

	memset(piece, 0xff, sizeof(piece));
	transcript_content(&t, &b, (struct span){ piece, sizeof(piece) });
	CHECK(!b.overflow);
	b.n = 0;
	t.n_cut = UINT64_MAX;
	transcript_content_end(&t, &b);
	CHECK(!b.overflow);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_commands_are_lines_or_octets),
		TEST(test_what_authenticates_is_masked),
		TEST(test_responses_and_challenges_are_masked),
		TEST(test_of_content_the_header_is_shown),
		TEST(test_what_is_left_out_has_its_length),
		TEST(test_the_next_message_begins_with_its_header),
		TEST(test_replies_leave_open_what_is_never_the_same),
		TEST(test_room_is_enough),
	};

	return test_main(tests, TEST_COUNT(tests));
}
