/* SPDX-License-Identifier: ISC */
/* smtp/verbs: every command passes the same checks (RFC 5321 4.1.1, 4.1.4; RFC 3207). */
#include "smtp/params.h"
#include "unit/engine.h"
#include "unit/test.h"

#define EHLO "EHLO client.example.org\r\n"
#define ENVELOPE "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"

/* `said` has the replies to the last command of `before`, and to `input`. */
struct spoken {
	const char *before, *input, *said;
	enum session_end end;
};

static void speak(struct engine *e, const struct spoken *row)
{
	engine_start(e);
	if (row->before)
		engine_send(e, span_of(row->before));
	captured_empty(&e->out);
	engine_send(e, span_of(row->input));
	if (!CHECK_SPAN(captured_span(&e->out), row->said) ||
		!CHECK(e->session.end == row->end))
		fprintf(stderr, "\tto: %s", row->input);
	engine_done(e);
}

static const struct spoken rows[] = {
	/* RFC 5321 4.1.1.1: either greeting, again at any time, any argument without control characters */
	{ .input = "HELO x\r\n", .said = "250 mail.example.net\r\n" },
	{ .input = "eHlO [192.0.2.1]\r\n",
		.said = "250-mail.example.net\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n"
			"250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"
			"250-BINARYMIME\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-PRDR\r\n"
			"250 LIMITS RCPTMAX=100 MAILMAX=1000\r\n" },
	{ .input = "HELO my scanner, 2nd floor! \r\n",
		.said = "250 mail.example.net\r\n" },
	{ .input = "HELO\r\n", .said = "501 5.5.4 Argument missing\r\n" },
	{ .input = "EHLO \r\n", .said = "501 5.5.4 Argument missing\r\n" },
	{ .input = "HELO \xc3\xa4\r\n", .said = "250 mail.example.net\r\n" },
	{ .input = "HELO \x80\xff\r\n", .said = "250 mail.example.net\r\n" },
	{ .input = "HELO a\tb\r\n",
		.said = "501 5.5.4 Control character in the name of the client\r\n" },
	{ .input = "HELO \xc3\xa4\x7f\r\n",
		.said = "501 5.5.4 Control character in the name of the client\r\n" },
	/* RFC 5321 4.1.4: the order of commands */
	{ .input = "MAIL FROM:<>\r\n", .said = "503 5.5.1 EHLO first\r\n" },
	{ .input = "RCPT TO:<b@example.net>\r\n", .said = "503 5.5.1 EHLO first\r\n" },
	{ .input = "DATA\r\n", .said = "503 5.5.1 EHLO first\r\n" },
	{ .before = EHLO,
		.input = "RCPT TO:<b@example.net>\r\n",
		.said = "503 5.5.1 MAIL first\r\n" },
	{ .before = EHLO, .input = "DATA\r\n", .said = "503 5.5.1 MAIL first\r\n" },
	{ .before = EHLO ENVELOPE,
		.input = "MAIL FROM:<>\r\n",
		.said = "503 5.5.1 Sender already given\r\n" },
	{ .before = EHLO "MAIL FROM:<>\r\n",
		.input = "DATA\r\n",
		.said = "503 5.5.1 RCPT first\r\n" },
	{ .before = EHLO "MAIL FROM:<>\r\nRCPT TO:<b@other.example>\r\n",
		.input = "DATA\r\n",
		.said = "554 5.5.1 No valid recipients\r\n" },
	/* RSET, EHLO and a refused message end a transaction, QUIT nothing */
	{ .before = EHLO ENVELOPE "RSET\r\n",
		.input = "DATA\r\n",
		.said = "503 5.5.1 MAIL first\r\n" },
	{ .before = EHLO ENVELOPE EHLO,
		.input = "DATA\r\n",
		.said = "503 5.5.1 MAIL first\r\n" },
	{ .before = EHLO ENVELOPE "HELO x\r\n",
		.input = "RCPT TO:<b@example.net>\r\n",
		.said = "503 5.5.1 MAIL first\r\n" },
	{ .before = EHLO ENVELOPE "EHLO\r\n",
		.input = "DATA\r\n",
		.said = "354 End data with <CR><LF>.<CR><LF>\r\n" },
	{ .before = EHLO ENVELOPE "DATA\r\n.\r\n",
		.input = "DATA\r\n",
		.said = "503 5.5.1 MAIL first\r\n" },
	{ .before = "RSET\r\n", .input = "DATA\r\n", .said = "503 5.5.1 EHLO first\r\n" },
	{ .input = "RSET\r\n", .said = "250 2.0.0 OK\r\n" },
	{ .input = "NOOP\r\n", .said = "250 2.0.0 OK\r\n" },
	{ .input = "noop any thing\r\n", .said = "250 2.0.0 OK\r\n" },
	{ .input = "QUIT\r\n",
		.said = "221 2.0.0 Closing connection\r\n",
		.end = END_QUIT },
	{ .input = "QUIT \t\r\n",
		.said = "221 2.0.0 Closing connection\r\n",
		.end = END_QUIT },
	{ .input = "QUIT\r\nNOOP\r\nQUIT\r\n",
		.said = "221 2.0.0 Closing connection\r\n",
		.end = END_QUIT },
	{ .input = "VRFY b@example.net\r\n",
		.said = "252 2.5.0 Not verified; try RCPT\r\n" },
	{ .input = "HELP\r\n",
		.said = "214-2.0.0 Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP "
			"QUIT "
			"STARTTLS VRFY HELP\r\n"
			"214 2.0.0 See RFC 5321 and the manual page postern(8)\r\n" },
	/* argument rules */
	{ .input = "RSET x\r\n", .said = "501 5.5.4 No argument allowed\r\n" },
	{ .input = "QUIT x\r\n", .said = "501 5.5.4 No argument allowed\r\n" },
	{ .input = "VRFY\r\n", .said = "501 5.5.4 Argument missing\r\n" },
	{ .before = EHLO, .input = "MAIL\r\n", .said = "501 5.5.4 Argument missing\r\n" },
	{ .before = EHLO ENVELOPE,
		.input = "DATA now\r\n",
		.said = "501 5.5.4 No argument allowed\r\n" },
	/* unknown, and known but not here */
	{ .input = "FOO\r\n", .said = "500 5.5.2 Command unrecognized\r\n" },
	{ .input = "\r\n", .said = "500 5.5.2 Command unrecognized\r\n" },
	{ .input = " NOOP\r\n", .said = "500 5.5.2 Command unrecognized\r\n" },
	{ .input = "NOOPS\r\n", .said = "500 5.5.2 Command unrecognized\r\n" },
	{ .input = "MAILFROM:<>\r\n", .said = "500 5.5.2 Command unrecognized\r\n" },
	{ .input = "EXPN a\r\n", .said = "502 5.5.1 Command not implemented\r\n" },
	{ .input = "AUTH PLAIN\r\n", .said = "502 5.5.1 Command not implemented\r\n" },
	{ .input = "BDAT 0 LAST\r\n", .said = "503 5.5.1 EHLO first\r\n" },
	{ .input = "ETRN x\r\n", .said = "502 5.5.1 Command not implemented\r\n" },
	{ .input = "TURN\r\n", .said = "502 5.5.1 Command not implemented\r\n" },
	{ .input = "STARTTLS\r\n", .said = "502 5.5.1 STARTTLS not offered\r\n" },
	/* other protocols: one line, and the end (nothing of theirs is shown) */
	{ .input = "GET /secret HTTP/1.1\r\nMAIL FROM:<>\r\n",
		.said = "554 5.5.1 This is SMTP, not HTTP\r\n",
		.end = END_FOREIGN_HTTP },
	{ .input = "\x16\x03\x01\x02",
		.end = END_FOREIGN_TLS,
		.said = "554 5.5.1 SMTP commands are expected here, not TLS\r\n" },
};

static void test_each_command_is_answered_by_the_rules(void)
{
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct engine e;
		engine_init(&e);
		speak(&e, &rows[i]);
	}
}

static void test_bad_lines_are_refused_before_their_words(void)
{
	static const struct spoken table[] = {
		{ .input = "QUIT\n",
			.said = "500 5.5.2 Lines must end with <CR><LF>\r\n" },
		{ .input = "QU\rIT\r\n",
			.said = "500 5.5.2 Lines must end with <CR><LF>\r\n" },
		{ .input = "\x16\x03\n",
			.end = END_FOREIGN_TLS,
			.said = "554 5.5.1 SMTP commands are expected here, not "
				"TLS\r\n" },
	};
	struct engine e;

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		engine_init(&e);
		e.settings.bare_newline = BARE_REJECT;
		speak(&e, &table[i]);
	}
	engine_init(&e);
	engine_start(&e);
	captured_empty(&e.out);
	engine_send(&e, SPAN("QU\0IT\r\n"));
	CHECK_SPAN(captured_span(&e.out), "500 5.5.2 NUL in command\r\n");
	engine_done(&e);
}

/* A line of `n` octets with its end. */
static void check_length(const char *start, size_t n, const char *said)
{
	char line[2048];
	struct engine e;

	memset(line, 'x', sizeof(line));
	memcpy(line, start, strlen(start));
	memcpy(line + n - 2, "\r\n", 2);
	engine_init(&e);
	engine_start(&e);
	engine_send(&e, SPAN(EHLO));
	captured_empty(&e.out);
	engine_send(&e, (struct span){ line, n });
	engine_send(&e, SPAN("NOOP\r\n"));
	CHECK(span_eq(
		(struct span){ captured_span(&e.out).p, strlen(said) }, span_of(said)));
	CHECK(span_ends(captured_span(&e.out), SPAN("250 2.0.0 OK\r\n")));
	CHECK(e.session.n_refused == (said[0] == '5'));
	engine_done(&e);
}

/*
 * RFC 5321 4.5.3.1.4, RFC 1870 3 (7), RFC 6152 2 (3), RFC 8689 2 (7), RFC 6531 3.1 (5), RFC 3461 5.4: 512
 * octets, and more for MAIL and RCPT
 */
static void test_lines_have_the_length_of_the_standard(void)
{
	check_length("NOOP ", 512, "250 2.0.0 OK\r\n");
	check_length("NOOP ", 513, "500 5.5.2 Line too long\r\n");
	check_length("NOOP ", 1048, "500 5.5.2 Line too long\r\n");
	check_length("NOOP ", 2048, "500 5.5.2 Line too long\r\n");
	check_length("HELO ", 512, "250 mail.example.net\r\n");
	check_length("MAIL ", 512 + MAIL_EXTRA_MAX,
		"501 5.5.4 Syntax: MAIL FROM:<address>\r\n");
	check_length("MAIL ", 513 + MAIL_EXTRA_MAX, "500 5.5.2 Line too long\r\n");
	check_length("RCPT ", 512 + RCPT_EXTRA_MAX, "503 5.5.1 MAIL first\r\n");
	check_length("RCPT ", 513 + RCPT_EXTRA_MAX, "500 5.5.2 Line too long\r\n");
}

/* A browser that is misused to send SMTP has a long first line. */
static void test_a_long_request_of_http_ends_it_too(void)
{
	char line[2 * AUTH_LINE_MAX] = "POST /";
	static const size_t lengths[] = { 500, 530, 600, 2000, sizeof(line) };

	memset(line + 6, 'x', sizeof(line) - 6);
	for (size_t i = 0; i < TEST_COUNT(lengths); i++) {
		struct engine e;
		memcpy(line + lengths[i] - 11, " HTTP/1.1\r\n", 11);
		engine_init(&e);
		engine_start(&e);
		engine_send(&e, (struct span){ line, lengths[i] });
		engine_send(
			&e, SPAN("Host: x\r\n\r\n" EHLO ENVELOPE "DATA\r\nx\r\n.\r\n"));
		CHECK(e.session.end == END_FOREIGN_HTTP);
		CHECK(e.memory.n_stored == 0);
		engine_done(&e);
		memset(line + lengths[i] - 11, 'x', 11);
	}
}

/* Its number of recipients is that of the setting, or the limit itself where that is lower. */
static void test_the_offered_number_of_recipients_is_no_more_than_the_limit(void)
{
	static const struct {
		size_t offered;
		const char *said;
	} table[] = {
		{ 0, "250 LIMITS RCPTMAX=100 " },
		{ 7, "250 LIMITS RCPTMAX=7 " },
		{ 1000, "250 LIMITS RCPTMAX=100 " },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		struct span said;
		engine_init(&e);
		e.settings.recipients_offered = table[i].offered;
		engine_start(&e);
		engine_send(&e, SPAN(EHLO));
		said = captured_span(&e.out);
		if (!CHECK(memmem(said.p, said.n, table[i].said, strlen(table[i].said))))
			fprintf(stderr, "\t%zu\n", table[i].offered);
		engine_done(&e);
	}
}

/* Each report is a file to be sent: a client must not fill the outbox in one session. */
static void test_a_session_has_a_number_of_reports(void)
{
	struct engine e;

	engine_init(&e);
	engine_start(&e);
	e.session.n_reports = REPORTS_MAX - 1;
	engine_send(&e, SPAN(EHLO ENVELOPE "RSET\r\n"));
	CHECK(e.session.end == END_NONE);
	e.session.n_reports++;
	captured_empty(&e.out);
	engine_send(&e, SPAN(ENVELOPE));
	CHECK(e.session.end == END_REPORTS);
	CHECK(span_starts(captured_span(&e.out), SPAN("421 ")));
	engine_done(&e);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_each_command_is_answered_by_the_rules),
		TEST(test_bad_lines_are_refused_before_their_words),
		TEST(test_lines_have_the_length_of_the_standard),
		TEST(test_a_long_request_of_http_ends_it_too),
		TEST(test_the_offered_number_of_recipients_is_no_more_than_the_limit),
		TEST(test_a_session_has_a_number_of_reports),
	};

	return test_main(tests, TEST_COUNT(tests));
}
