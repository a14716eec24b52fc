/* SPDX-License-Identifier: ISC */
/*
 * A reply for each recipient (RFC 2033 4.2, 4.3; draft-hall-prdr-00 4.5): as many as were accepted, even if other
 * events come in between.
 */
#include "unit/engine.h"
#include "unit/test.h"

#define LHLO "LHLO client.example.org\r\n"
#define EHLO "EHLO client.example.org\r\n"
#define MAIL "MAIL FROM:<a@example.org>\r\n"
#define PRDR "MAIL FROM:<a@example.org> PRDR\r\n"
#define RCPT "RCPT TO:<b@example.net>\r\n"
#define THREE RCPT RCPT RCPT
#define DELIVERED "250 2.6.0 Delivered as 1796116087.M000042P7Q1\r\n"
#define FULL "452 4.3.1 Insufficient storage; try later\r\n"
#define TOO_BIG "552 5.3.4 Message too big\r\n"

static void begin(struct engine *e, const char *hello)
{
	engine_init(e);
	e->settings.lmtp = hello[0] == 'L';
	e->settings.error_limit = 3;
	engine_start(e);
	engine_send(e, span_of(hello));
}

static void finish(struct engine *e)
{
	engine_stop(e, END_EOF);
	CHECK(!e->overflow && !e->bad_record && !e->memory.wrong);
	CHECK(e->n_sessions == 1 && e->memory.n_cleared == e->n_records - 1);
	CHECK(e->memory.n_stored == e->session.n_messages);
	engine_done(e);
}

/* Input after the final dot in the same segment. */
struct behind {
	const char *hello, *envelope, *input, *said;
	unsigned refuses_of;
	enum tls_mode tls;
	enum session_end end;
};

static void check_behind(const struct behind *row)
{
	struct engine e;

	begin(&e, row->hello);
	e.settings.tls = row->tls;
	e.memory.refuses_of = row->refuses_of;
	engine_send(&e, span_of(row->envelope));
	engine_send(&e, SPAN("DATA\r\nx\r\n"));
	captured_empty(&e.out);
	engine_send(&e, span_of(row->input));
	if (!CHECK_SPAN(captured_span(&e.out), row->said) ||
		!CHECK(e.session.end == row->end))
		fprintf(stderr, "\tto: %s%s", row->envelope, row->input);
	finish(&e);
}

static void test_every_reply_is_there_before_the_next_command_is_heard(void)
{
	static const struct behind table[] = {
		{ .hello = LHLO,
			.envelope = MAIL THREE,
			.input = ".\r\nRSET\r\n",
			.refuses_of = 2,
			.said = DELIVERED FULL DELIVERED "250 2.0.0 OK\r\n" },
		{ .hello = LHLO,
			.envelope = MAIL THREE,
			.input = ".\r\nLHLO x\r\nNOOP\r\n",
			.refuses_of = 7,
			.said = FULL FULL FULL
			"250-mail.example.net\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n"
			"250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"
			"250-BINARYMIME\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
			"250 LIMITS RCPTMAX=100 MAILMAX=1000\r\n250 2.0.0 OK\r\n" },
		{ .hello = LHLO,
			.envelope = MAIL THREE,
			.input = ".\r\nQUIT\r\nNOOP\r\n",
			.end = END_QUIT,
			.said = DELIVERED DELIVERED DELIVERED
			"221 2.0.0 Closing connection\r\n" },
		/* RFC 3207 4.2: the next MAIL is inside TLS, before any LHLO */
		{ .hello = LHLO,
			.envelope = MAIL RCPT RCPT,
			.tls = TLS_ON,
			.input = ".\r\nSTARTTLS\r\n",
			.said = DELIVERED DELIVERED "220 2.0.0 Go ahead\r\n" },
		{ .hello = LHLO,
			.envelope = MAIL RCPT RCPT,
			.tls = TLS_ON,
			.input = ".\r\nSTARTTLS\r\nNOOP\r\n",
			.end = END_TLS_INJECTION,
			.said = DELIVERED DELIVERED
			"503 5.5.1 Input behind STARTTLS before its reply\r\n" },
		{ .hello = EHLO,
			.envelope = PRDR THREE,
			.input = ".\r\nRSET\r\n",
			.refuses_of = 5,
			.said = "353 A reply for each recipient follows\r\n" FULL
				DELIVERED FULL DELIVERED "250 2.0.0 OK\r\n" },
		{ .hello = EHLO,
			.envelope = PRDR THREE,
			.input = ".\r\nRSET\r\n",
			.refuses_of = 7,
			.said = "353 A reply for each recipient follows\r\n" FULL FULL
				FULL FULL "250 2.0.0 OK\r\n" },
		{ .hello = EHLO,
			.envelope = PRDR RCPT,
			.input = ".\r\nRSET\r\n",
			.said = DELIVERED "250 2.0.0 OK\r\n" },
		{ .hello = EHLO,
			.envelope = PRDR RCPT,
			.input = ".\r\nRSET\r\n",
			.refuses_of = 1,
			.said = FULL "250 2.0.0 OK\r\n" },
		{ .hello = EHLO,
			.envelope = MAIL THREE,
			.input = ".\r\nRSET\r\n",
			.refuses_of = 4,
			.said = FULL "250 2.0.0 OK\r\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		check_behind(&table[i]);
}

/* No output is lost, and none exceeds the buffer. */
static void test_fifty_thousand_recipients_have_a_reply_each(void)
{
	static const size_t n = 50000;
	struct engine e;
	size_t n_said = 0, n_full = 0;

	begin(&e, LHLO);
	e.settings.recipient_limit = n;
	e.memory.refuses_of = 1;
	engine_send(&e, SPAN(MAIL));
	for (size_t i = 0; i <= n; i++)
		engine_send(&e, SPAN(RCPT));
	CHECK(span_ends(
		captured_span(&e.out), SPAN("452 4.5.3 Too many recipients\r\n")));
	engine_send(&e, SPAN("DATA\r\nx\r\n"));
	captured_empty(&e.out);
	engine_send(&e, SPAN(".\r\nNOOP\r\n"));
	for (struct span out = captured_span(&e.out); out.n; n_said++) {
		const char *lf = memchr(out.p, '\n', out.n);
		REQUIRE(lf);
		n_full += out.p[0] == '4';
		out = span_from(out, (size_t)(lf - out.p) + 1);
	}
	CHECK(n_said == n + 1 && n_full == (n + 31) / 32);
	CHECK(span_ends(captured_span(&e.out), SPAN(DELIVERED "250 2.0.0 OK\r\n")));
	CHECK(tells(&e, "recipients=\"48437\" refused=\"1564\""));
	finish(&e);
}

/* Sends a message, and stops where the output is full and replies are still due. */
static void stop_halfway(struct engine *e)
{
	char octets[] = ".\r\nMAIL FROM:<>\r\n";
	struct bytes in = { octets, sizeof(octets) - 1 };

	e->settings.recipient_limit = 1000;
	engine_send(e, SPAN(MAIL));
	for (size_t i = 0; i < 1000; i++)
		engine_send(e, SPAN(RCPT));
	engine_send(e, SPAN("DATA\r\nxxxxxxxxxxxx\r\n"));
	captured_empty(&e->out);
	CHECK(session_take(&e->session, &in, &e->now) == SESSION_OUTPUT);
	CHECK(e->session.phase == PHASE_RESULTS && e->session.n_replied > 10);
	CHECK(in.n == strlen("MAIL FROM:<>\r\n"));
	CHECK(e->session.out.n <= SESSION_OUT_MAX && !e->session.out.overflow);
}

/* A delivered message is recorded as such even if the client did not get the reply; so is a refused one. */
static void test_an_end_in_the_middle_of_the_replies_changes_no_outcome(void)
{
	static const enum session_end ends[] = { END_BROKEN, END_EOF, END_TIMEOUT,
		END_SHUTDOWN };

	for (size_t i = 0; i < 2 * TEST_COUNT(ends); i++) {
		bool refused = i % 2;
		struct engine e;
		size_t n_said;
		begin(&e, LHLO);
		e.settings.size_limit = refused ? 10 : 0;
		stop_halfway(&e);
		n_said = e.session.n_replied;
		engine_stop(&e, ends[i / 2]);
		CHECK(e.session.n_replied == n_said && e.session.end == ends[i / 2]);
		CHECK(e.memory.n_stored == !refused);
		CHECK(tells(
			&e, refused ? "outcome=\"refused\"" : "outcome=\"delivered\""));
		CHECK(tells(&e, " recipients=\"1000\" "));
		CHECK(tells(&e, refused ? "messages=\"0\" refused=\"1\""
					: "messages=\"1\" duration_ms="));
		CHECK(e.n_records == 2);
		finish(&e);
	}
}

/* RFC 5321 7.8: a message that is refused for many recipients counts once, and all of them get the reply. */
static void test_a_refused_message_is_one_error(void)
{
	struct engine e;

	begin(&e, LHLO);
	e.settings.size_limit = 1;
	engine_send(&e,
		SPAN(MAIL THREE "DATA\r\nx\r\n.\r\n" MAIL THREE "DATA\r\nx\r\n.\r\n"));
	CHECK(e.session.n_errors == 2 && e.session.end == END_NONE);
	engine_send(&e, SPAN(MAIL THREE "DATA\r\nx\r\n"));
	captured_empty(&e.out);
	engine_send(&e, SPAN(".\r\nNOOP\r\n"));
	CHECK_SPAN(captured_span(&e.out), TOO_BIG TOO_BIG TOO_BIG
		"421 4.7.0 Too many errors; closing connection\r\n");
	CHECK(e.session.end == END_ERRORS && tells(&e, " refused=\"3\" reason=\"552 "));
	finish(&e);
}

/* A message with at least one delivery resets the errors; recipients without delivery are no errors. */
static void test_a_message_delivered_in_part_forgives_errors(void)
{
	struct engine e;

	begin(&e, LHLO);
	e.memory.refuses_of = 6;
	for (size_t i = 0; i < 5; i++)
		engine_send(&e, SPAN("FOO\r\nFOO\r\n" MAIL THREE "DATA\r\nx\r\n.\r\n"));
	CHECK(e.session.n_errors == 0 && e.session.end == END_NONE);
	CHECK(e.memory.n_stored == 5);
	finish(&e);
}

/* RFC 2033 4.3; a client counts replies, and one too many or too few is taken for another's. */
static void test_the_last_chunk_has_as_many_replies_as_there_are_recipients(void)
{
	static const struct {
		const char *envelope, *input, *said;
	} table[] = {
		{ MAIL RCPT RCPT, "BDAT 1 LAST\r\nx", DELIVERED DELIVERED },
		{ MAIL RCPT RCPT, "BDAT 0\r\nBDAT 0 LAST\r\n",
			"250 2.0.0 Chunk received\r\n" DELIVERED DELIVERED },
		{ MAIL RCPT RCPT, "BDAT 9 LAST\r\n123456789", TOO_BIG TOO_BIG },
		{ MAIL RCPT RCPT, "BDAT 9\r\n123456789BDAT 1 LAST\r\nx",
			TOO_BIG TOO_BIG TOO_BIG },
		{ MAIL RCPT RCPT, "BDAT 9\r\n123456789BDAT 1\r\nxBDAT 1 LAST\r\nx",
			TOO_BIG TOO_BIG TOO_BIG TOO_BIG },
		/* with another command in between, the last chunk has no message */
		{ MAIL RCPT RCPT, "BDAT 9\r\n123456789NOOP\r\nBDAT 1 LAST\r\nx",
			TOO_BIG "250 2.0.0 OK\r\n" },
		{ MAIL, "BDAT 1 LAST\r\nx", "" },
		{ MAIL, "BDAT 1\r\nxBDAT 1 LAST\r\nx", "503 5.5.1 RCPT first\r\n" },
		{ "", "BDAT 1 LAST\r\nx", "" },
		{ "", "BDAT 1\r\nxBDAT 1\r\nxBDAT 1 LAST\r\nx",
			"503 5.5.1 MAIL first\r\n503 5.5.1 MAIL first\r\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		begin(&e, LHLO);
		e.settings.size_limit = 8;
		engine_send(&e, span_of(table[i].envelope));
		captured_empty(&e.out);
		engine_send(&e, span_of(table[i].input));
		if (!CHECK_SPAN(captured_span(&e.out), table[i].said))
			fprintf(stderr, "\tto: %s\n", table[i].input);
		captured_empty(&e.out);
		engine_send(&e, SPAN("NOOP\r\n"));
		CHECK_SPAN(captured_span(&e.out), "250 2.0.0 OK\r\n");
		finish(&e);
	}
}

/* RFC 3030 2: a hundred thousand chunks after a refused one count only once. */
static void test_chunks_behind_a_refused_one_are_part_of_its_error(void)
{
	char line[2 * COMMAND_LINE_MAX];
	struct engine e;

	begin(&e, EHLO);
	engine_send(&e, SPAN("BDAT 5\r\nhello"));
	CHECK(e.session.n_errors == 1);
	for (size_t i = 0; i < 100000; i++)
		engine_send(&e, i % 2 ? SPAN("BDAT 0\r\n") : SPAN("BDAT 5\r\nQUIT\r"));
	CHECK(e.session.n_errors == 1 && e.session.n_refused == 100001);
	CHECK(e.session.tx.recipients == NULL && e.session.end == END_NONE);
	/* a line too long to be looked at is another command, and an error itself */
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	engine_send(&e, (struct span){ line, sizeof(line) });
	engine_send(&e, SPAN("BDAT 0\r\n"));
	CHECK(e.session.end == END_ERRORS);
	finish(&e);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_every_reply_is_there_before_the_next_command_is_heard),
		TEST(test_fifty_thousand_recipients_have_a_reply_each),
		TEST(test_an_end_in_the_middle_of_the_replies_changes_no_outcome),
		TEST(test_a_refused_message_is_one_error),
		TEST(test_a_message_delivered_in_part_forgives_errors),
		TEST(test_the_last_chunk_has_as_many_replies_as_there_are_recipients),
		TEST(test_chunks_behind_a_refused_one_are_part_of_its_error),
	};

	return test_main(tests, TEST_COUNT(tests));
}
