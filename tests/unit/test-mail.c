/* SPDX-License-Identifier: ISC */
/* smtp/mail: MAIL, RCPT, DATA and the content (RFC 5321 3.3, RFC 1870, RFC 6152). */
#include "unit/engine.h"
#include "unit/test.h"

#define EHLO "EHLO client.example.org\r\n"
#define MAIL "MAIL FROM:<a@example.org>\r\n"
#define RCPT "RCPT TO:<b@example.net>\r\n"
#define ENVELOPE MAIL RCPT

struct answered {
	const char *command, *said;
};

static void ask_with(bool dsn, const char *before, const struct answered *row)
{
	struct engine e;

	engine_init(&e);
	e.settings.dsn = dsn;
	engine_start(&e);
	engine_send(&e, span_of(before));
	captured_empty(&e.out);
	engine_send(&e, span_of(row->command));
	engine_send(&e, SPAN("\r\n"));
	if (!CHECK_SPAN(captured_span(&e.out), row->said))
		fprintf(stderr, "\tto: %s\n", row->command);
	engine_done(&e);
}

static void ask(const char *before, const struct answered *row)
{
	ask_with(false, before, row);
}

static void test_mail_reads_its_parameters(void)
{
	static const struct answered table[] = {
		{ "MAIL FROM:<>", "250 2.1.0 Sender OK\r\n" },
		{ "mail from:<a@example.org> size=1000000", "250 2.1.0 Sender OK\r\n" },
		{ "MAIL FROM:<a@example.org> SIZE=0 BODY=8BITMIME",
			"250 2.1.0 Sender OK\r\n" },
		{ "MAIL FROM: a@example.org BODY=7bit ", "250 2.1.0 Sender OK\r\n" },
		{ "MAIL FROM:<a@example.org> SIZE=1000001",
			"552 5.3.4 Message size exceeds the limit\r\n" },
		{ "MAIL FROM:<a@example.org> SIZE=18446744073709551615",
			"552 5.3.4 Message size exceeds the limit\r\n" },
		/* RFC 1870 3: 1*20DIGIT is no syntax error, even above the largest integer */
		{ "MAIL FROM:<a@example.org> SIZE=18446744073709551616",
			"552 5.3.4 Message size exceeds the limit\r\n" },
		{ "MAIL FROM:<a@example.org> SIZE=99999999999999999999",
			"552 5.3.4 Message size exceeds the limit\r\n" },
		{ "MAIL FROM:<a@example.org> SIZE=999999999999999999999",
			"501 5.5.4 Parameter not understood: SIZE\r\n" },
		{ "MAIL FROM:<a@example.org> SIZE=-1",
			"501 5.5.4 Parameter not understood: SIZE\r\n" },
		{ "MAIL FROM:<a@example.org> SIZE",
			"501 5.5.4 Parameter not understood: SIZE\r\n" },
		{ "MAIL FROM:<a@example.org> SIZE=",
			"501 5.5.4 Parameter not understood: SIZE=\r\n" },
		{ "MAIL FROM:<a@example.org> SIZE=1 size=1",
			"501 5.5.4 Parameter given twice: size\r\n" },
		{ "MAIL FROM:<a@example.org> BODY=BINARYMIME",
			"250 2.1.0 Sender OK\r\n" },
		{ "MAIL FROM:<a@example.org> BODY=7BIT BODY=7BIT",
			"501 5.5.4 Parameter given twice: BODY\r\n" },
		{ "MAIL FROM:<a@example.org> FOO=1",
			"555 5.5.4 Parameter unknown: FOO\r\n" },
		{ "MAIL FROM:<a@example.org> AUTH=<>",
			"555 5.5.4 Parameter unknown: AUTH\r\n" },
		{ "MAIL FROM:<a@example.org> \"\\\x01",
			"501 5.5.4 Parameter not understood: \\x22\\x5C\\x01\r\n" },
		{ "MAIL FROM:<a@example.org>SIZE=1",
			"501 5.1.7 Not an address: MAIL FROM:<address>\r\n" },
		{ "MAIL FROM:<postmaster>",
			"501 5.1.7 Not an address: MAIL FROM:<address>\r\n" },
		{ "MAIL TO:<a@example.org>",
			"501 5.5.4 Syntax: MAIL FROM:<address>\r\n" },
		{ "MAIL <a@example.org>", "501 5.5.4 Syntax: MAIL FROM:<address>\r\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		ask(EHLO, &table[i]);
}

static void test_rcpt_takes_one_recipient(void)
{
	static const struct answered table[] = {
		{ "RCPT TO:<b@example.net>", "250 2.1.5 Recipient OK\r\n" },
		{ "RCPT TO:<\"b c\"@Sub.Example.Net>", "250 2.1.5 Recipient OK\r\n" },
		{ "RCPT TO:<@relay.example.org:b@example.net>",
			"250 2.1.5 Recipient OK\r\n" },
		{ "RCPT TO:<Postmaster>", "250 2.1.5 Recipient OK\r\n" },
		{ "RCPT TO: b@example.net", "250 2.1.5 Recipient OK\r\n" },
		{ "RCPT TO:<b@other.example>",
			"550 5.7.1 No mail is accepted here for that domain\r\n" },
		/* a route is dropped: it makes no foreign domain ours */
		{ "RCPT TO:<@example.net:b@other.example>",
			"550 5.7.1 No mail is accepted here for that domain\r\n" },
		{ "RCPT TO:<b%other.example@other.example>",
			"550 5.7.1 No mail is accepted here for that domain\r\n" },
		{ "RCPT TO:<b@[192.0.2.1]>",
			"550 5.7.1 No mail is accepted here for that domain\r\n" },
		{ "RCPT TO:<>", "501 5.1.3 Not an address: RCPT TO:<address>\r\n" },
		{ "RCPT TO:<b>", "501 5.1.3 Not an address: RCPT TO:<address>\r\n" },
		{ "RCPT FROM:<b@example.net>",
			"501 5.5.4 Syntax: RCPT TO:<address>\r\n" },
		{ "RCPT TO:<b@example.net>,<c@example.net>",
			"501 5.1.3 Not an address: RCPT TO:<address>\r\n" },
		{ "RCPT TO:<b@example.net> NOTIFY=NEVER",
			"555 5.5.4 Parameter unknown: NOTIFY\r\n" },
		{ "RCPT TO:<b@example.net> =",
			"501 5.5.4 Parameter not understood: =\r\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		ask(EHLO MAIL, &table[i]);
}

/* RFC 3461 4: parameters are kept after their lines, and no part of a refused command is kept */
static void test_reports_are_asked_for(void)
{
	static const struct answered mail = {
		"MAIL FROM:<a@example.org> AUTH=<> ENVID=x RET=HDRS",
		"555 5.5.4 Parameter unknown: AUTH\r\n",
	};
	static const struct answered rcpt = {
		"RCPT TO:<b@example.net> ORCPT=rfc822;x NOTIFY=SUCCESS SIZE=1",
		"555 5.5.4 Parameter unknown: SIZE\r\n",
	};
	struct engine e;
	struct tx *tx = &e.session.tx;

	ask_with(true, EHLO, &mail);
	ask_with(true, EHLO MAIL, &rcpt);
	engine_init(&e);
	e.settings.dsn = true;
	engine_start(&e);
	engine_send(&e,
		SPAN(EHLO "MAIL FROM:<a@example.org> RET=FULL ENVID=A+2BB\r\n"
			  "RCPT TO:<b@example.net> ORCPT=rfc822;one\r\n"
			  "RCPT TO:<b@other.example> NOTIFY=SUCCESS ORCPT=rfc822;two\r\n"
			  "RCPT TO:<b@example.net> NOTIFY=SUCCESS,NEVER\r\n"
			  "RCPT TO:<c@example.net> NOTIFY=SUCCESS\r\n"));
	CHECK_SPAN(tx->params.envid, "A+2BB");
	REQUIRE(tx->n_recipients == 2);
	CHECK(!tx->recipients[0].params.report);
	CHECK_SPAN(tx->recipients[0].params.orcpt, "rfc822;one");
	CHECK(tx->recipients[1].params.report);
	CHECK(tx->recipients[1].params.orcpt.n == 0);
	engine_send(&e, SPAN("RSET\r\n" MAIL RCPT));
	CHECK(tx->params.envid.n == 0 && tx->n_recipients == 1);
	CHECK(!tx->recipients[0].params.report && !tx->recipients[0].params.orcpt.n);
	engine_done(&e);
}

static void test_a_refused_command_leaves_the_transaction_as_it_was(void)
{
	struct engine e;
	struct span stored;

	engine_init(&e);
	engine_start(&e);
	engine_send(&e,
		SPAN(EHLO ENVELOPE MAIL "RCPT TO:<x@other.example>\r\n"
					"RCPT TO:<\r\nDATA x\r\nDATA\r\nhello\r\n.\r\n"));
	stored = captured_span(&e.memory.stored);
	CHECK(e.memory.n_stored == 1 && e.session.n_transactions == 1);
	CHECK(memmem(stored.p, stored.n, "\n\tfor <b@example.net>;", 22));
	CHECK(span_ends(stored, SPAN("+0000\n\nhello\n=\r\n")));
	engine_stop(&e, END_EOF);
	CHECK(!e.memory.wrong);
	engine_done(&e);
}

/* RFC 5321 4.5.3.1.10: 452 above the limit, and those before it stand */
static void test_thousands_of_recipients(void)
{
	struct engine e;
	struct span stored;

	engine_init(&e);
	e.settings.recipient_limit = 5000;
	e.settings.error_limit = 1000;
	engine_start(&e);
	engine_send(&e, SPAN(EHLO MAIL));
	for (size_t i = 0; i < 5002; i++) {
		char command[64];
		int n = snprintf(
			command, sizeof(command), "RCPT TO:<u%zu@example.net>\r\n", i);
		captured_empty(&e.out);
		engine_send(&e, (struct span){ command, (size_t)n });
		CHECK_SPAN(captured_span(&e.out),
			i < 5000 ? "250 2.1.5 Recipient OK\r\n"
				 : "452 4.5.3 Too many recipients\r\n");
	}
	CHECK(e.session.tx.n_recipients == 5000);
	engine_send(&e, SPAN("DATA\r\nx\r\n.\r\n"));
	CHECK(e.memory.n_stored == 1);
	/* none learns of another */
	stored = captured_span(&e.memory.stored);
	CHECK(!memmem(stored.p, stored.n, "example.net>", 12));
	CHECK(!memmem(stored.p, stored.n, "Delivered-To", 12));
	engine_stop(&e, END_EOF);
	CHECK(!e.bad_record && !e.overflow && !e.memory.wrong);
	engine_done(&e);
}

/* Recipients above the limit are no errors, up to a number. */
static void test_recipients_above_the_limit_are_no_errors(void)
{
	struct engine e;

	engine_init(&e);
	e.settings.recipient_limit = 1;
	engine_start(&e);
	engine_send(&e, SPAN(EHLO "MAIL FROM:<a@example.org> SMTPUTF8\r\n" RCPT));
	for (size_t i = 0; i < RECIPIENT_OVERSHOOT; i++)
		engine_send(
			&e, i % 2 ? SPAN(RCPT) : SPAN("RCPT TO:<a@bücher.example>\r\n"));
	CHECK(e.session.end == END_NONE && e.session.n_errors == 0);
	CHECK(span_ends(
		captured_span(&e.out), SPAN("452 4.5.3 Too many recipients\r\n")));
	/* nothing was looked up for them, and nothing is kept of them */
	CHECK(e.names.n_asked == 0 && e.session.tx.n_recipients == 1);
	CHECK(e.session.tx.cap_recipients <= 4);
	for (size_t i = 0; i < e.settings.error_limit; i++)
		engine_send(&e, SPAN(RCPT));
	CHECK(e.session.end == END_ERRORS);
	engine_done(&e);
}

struct refused {
	enum memory_hook hook;
	const char *said; /* at the end */
};

/* Whatever fails, the transaction is over, and the next one is as if nothing had been. */
static void test_each_hook_may_refuse(void)
{
	static const struct refused table[] = {
		{ HOOK_MAIL, "503 5.5.1 MAIL first\r\n503 5.5.1 MAIL first\r\n" },
		{ HOOK_RCPT, "451 4.3.0 No recipient could be accepted; try later\r\n" },
		{ HOOK_DATA, "451 4.3.0 The message could not be stored; try later\r\n" },
		{ HOOK_BODY, "451 4.3.0 The message could not be stored; try later\r\n" },
		{ HOOK_PREPARE,
			"451 4.3.0 The message could not be stored; try later\r\n" },
		{ HOOK_COMMIT,
			"451 4.3.0 The message could not be stored; try later\r\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		engine_init(&e);
		engine_start(&e);
		e.memory.refuses = table[i].hook;
		engine_send(&e, SPAN(EHLO ENVELOPE "DATA\r\n"));
		if (table[i].hook >= HOOK_BODY)
			engine_send(&e, SPAN("x\r\n.\r\n"));
		CHECK(span_ends(captured_span(&e.out), span_of(table[i].said)));
		CHECK(e.memory.n_stored == 0);
		e.memory.refuses = HOOK_NONE;
		if (table[i].hook == HOOK_RCPT)
			engine_send(&e, SPAN("RSET\r\n"));
		engine_send(&e, SPAN(ENVELOPE "DATA\r\ny\r\n.\r\n"));
		CHECK(e.memory.n_stored == 1);
		engine_stop(&e, END_EOF);
		CHECK(!e.memory.wrong && e.memory.n_cleared == 2);
		CHECK(e.n_records == 3 && !e.bad_record);
		engine_done(&e);
	}
}

struct content {
	enum bare_newline bare;
	uint64_t size_limit;
	const char *text, *said;
};

static void test_content_is_judged_after_its_true_end(void)
{
	static const struct content table[] = {
		{ .text = "12345678\r\n.\r\n", .size_limit = 10, .said = "250 2.6.0 " },
		{ .text = "123456789\r\n.\r\n",
			.size_limit = 10,
			.said = "552 5.3.4 Message too big\r\n" },
		/* stuffed dots do not count (RFC 1870 5) */
		{ .text = "..2345678\r\n.\r\n", .size_limit = 10, .said = "250 2.6.0 " },
		{ .text = "123456789\r\n.\r\n", .said = "250 2.6.0 " },
		{ .text = "a\nb\r\n.\r\n", .said = "250 2.6.0 " },
		{ .text = "a\nb\r\n.\r\n",
			.bare = BARE_REJECT,
			.said = "550 5.6.0 Bare <CR> or <LF> in the message\r\n" },
		{ .text = "a\rb\r\n.\r\n",
			.bare = BARE_REJECT,
			.said = "550 5.6.0 Bare <CR> or <LF> in the message\r\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		engine_init(&e);
		e.settings.bare_newline = table[i].bare;
		e.settings.size_limit = table[i].size_limit;
		engine_start(&e);
		engine_send(&e, SPAN(EHLO ENVELOPE "DATA\r\n"));
		captured_empty(&e.out);
		engine_send(&e, span_of(table[i].text));
		CHECK(strncmp(captured_span(&e.out).p, table[i].said,
			      strlen(table[i].said)) == 0);
		CHECK(e.memory.n_stored == (table[i].said[0] == '2'));
		engine_send(&e, SPAN("RSET\r\n" ENVELOPE "DATA\r\n.\r\n"));
		CHECK(span_ends(captured_span(&e.out), SPAN("P7Q2\r\n")));
		engine_done(&e);
	}
}

/* RFC 5321 6.3; ours is put on top afterwards and is not counted */
static void test_a_loop_ends(void)
{
	for (size_t n = 99; n < 102; n++) {
		struct engine e;
		engine_init(&e);
		engine_start(&e);
		engine_send(&e, SPAN(EHLO ENVELOPE "DATA\r\n"));
		for (size_t i = 0; i < n; i++)
			engine_send(&e, SPAN("Received: from a\r\n\tby b\r\n"));
		engine_send(&e, SPAN("\r\nReceived: no more\r\n.\r\n"));
		CHECK(e.memory.n_stored == (n < 100));
		if (n >= 100)
			CHECK(span_ends(captured_span(&e.out),
				SPAN("554 5.4.6 Too many hops\r\n")));
		engine_done(&e);
	}
}

/* A misconfigured stage ends the session (RFC 5321 3.8): further commands are not carried out. */
static void test_a_stage_can_end_the_session_at_mail(void)
{
	struct engine e;

	engine_init(&e);
	engine_start(&e);
	engine_send(&e, SPAN(EHLO));
	captured_empty(&e.out);
	e.memory.refuses = HOOK_MAIL;
	e.memory.refuses_with = REPLY_MISCONFIGURED;
	engine_send(&e, SPAN(MAIL ENVELOPE "DATA\r\n"));
	CHECK_SPAN(captured_span(&e.out), "421 4.3.5 Misconfigured; try later\r\n");
	CHECK(e.session.phase == PHASE_ENDED && e.session.end == END_MISCONFIGURED);
	CHECK(e.memory.n_stored == 0 && e.memory.n_cleared == 1);
	engine_done(&e);
}

/* The trace header stands on top of the very text. */
static void test_stores_trace_and_text(void)
{
	struct engine e;

	engine_init(&e);
	engine_start(&e);
	engine_send(&e, SPAN("HELO a)\x7e\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\n"
			     "DATA\r\nA: b\r\n\r\n..\r\n\xff\r\n.\r\n"));
	CHECK_SPAN(captured_span(&e.memory.stored),
		"Return-Path: <>\n"
		"Delivered-To: b@example.net\n"
		"Received: from [192.0.2.1] ([192.0.2.1])\n"
		"\tby mail.example.net with SMTP id 1796116087.M000042P7Q1\n"
		"\tfor <b@example.net>;\n"
		"\tTue, 01 Dec 2026 09:08:07 +0000\n"
		"A: b\n\n.\n\xff\n=\r\n");
	engine_done(&e);
}

/* A machine without a battery may begin at any time. */
static void test_a_clock_before_1970_gives_names_and_dates(void)
{
	struct engine e;

	engine_init(&e);
	e.now = (struct moment){ -1, 42, 5000 };
	engine_start(&e);
	engine_send(&e, SPAN("HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\n"
			     "DATA\r\nA: b\r\n\r\n.\r\n"));
	REQUIRE(captured_span(&e.memory.stored).n);
	CHECK(strstr(e.memory.stored.p, " id 0.M000042P7Q1\n"));
	CHECK(strstr(e.memory.stored.p, "\tWed, 31 Dec 1969 23:59:59 +0000\n"));
	engine_done(&e);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_mail_reads_its_parameters),
		TEST(test_rcpt_takes_one_recipient),
		TEST(test_reports_are_asked_for),
		TEST(test_a_refused_command_leaves_the_transaction_as_it_was),
		TEST(test_thousands_of_recipients),
		TEST(test_recipients_above_the_limit_are_no_errors),
		TEST(test_each_hook_may_refuse),
		TEST(test_content_is_judged_after_its_true_end),
		TEST(test_a_loop_ends),
		TEST(test_a_stage_can_end_the_session_at_mail),
		TEST(test_stores_trace_and_text),
		TEST(test_a_clock_before_1970_gives_names_and_dates),
	};

	return test_main(tests, TEST_COUNT(tests));
}
