/* SPDX-License-Identifier: ISC */
/*
 * smtp/session: the engine as a whole. The replies do not depend on how the input is split, and a session ends only
 * once.
 */
#include "unit/engine.h"
#include "unit/test.h"

#define ENVELOPE "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"

#define ENVELOPE_OF_THREE                                                                \
	"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"                       \
	"RCPT TO:<c@example.net>\r\nRCPT TO:<b@example.net>\r\n"

/* Segments: the peer waits for the replies between them. */
struct script {
	const char *name;
	enum tls_mode tls;
	enum bare_newline bare;
	bool lmtp;
	unsigned refuses_of; /* recipients alone */
	const char *segments[4];
	size_t n_stored;
};

static const struct script scripts[] = {
	{
		.name = "two messages, dots and folded fields",
		.segments = { "EHLO client.example.org\r\n" ENVELOPE
			      "Received: x\r\nMessage-ID:\r\n <1@example.org>\r\n\r\n"
			      "..dot\r\n...\r\n.\r\n" ENVELOPE ".\r\nQUIT\r\n" },
		.n_stored = 2,
	},
	{
		.name = "every kind of mistake",
		.segments = { "\r\n\nFOO\r\nRCPT TO:<b@example.net>\r\nehlo a b\nMAIL\r\n"
			      "MAIL FROM:<a>\r\nMAIL FROM:<a@example.org> X=1\r\n"
			      "MAIL FROM:<> SIZE=1 SIZE=2\r\nMAIL FROM: a@example.org "
			      "\r\n"
			      "RCPT TO:<x@other.example>\r\nDATA\r\nMAIL FROM:<>\r\n"
			      "RCPT TO:b@example.net\r\nDATA now\r\nVRFY x\r\nNO\rOP\r\n"
			      "RSET\r\nDATA\r\nEXPN a\r\nSTARTTLS\r\nQUIT\r\nNOOP\r\n" },
	},
	{
		.name = "lines too long for their verb, and for any",
		.segments = { "HELO x\r\n"
			      "NOOP "
			      "3456789012345678901234567890123456789012345678901234567890"
			      "1234567890123456789012345678901234567890123456789012345678"
			      "90"
			      "1234567890123456789012345678901234567890123456789012345678"
			      "90"
			      "1234567890123456789012345678901234567890123456789012345678"
			      "90"
			      "1234567890123456789012345678901234567890123456789012345678"
			      "90"
			      "1234567890123456789012345678901234567890123456789012345678"
			      "90"
			      "1234567890123456789012345678901234567890123456789012345678"
			      "90"
			      "1234567890123456789012345678901234567890123456789012345678"
			      "90"
			      "1234567890123456789012345678901234567890123456789012345678"
			      "90"
			      "123456789012345678901234567890\r\nNOOP\r\nQUIT\r\n" },
	},
	{
		.name = "bare newlines, normalized",
		.segments = { "HELO x\n" ENVELOPE
			      "a\nb\r\n\n.\n.\r\nc\rd\r\n.\r\r\n\r\n.\r\n"
			      "MAIL FROM:<>\nRCPT "
			      "TO:<postmaster>\nDATA\n.\r\n.\r\nQUIT\n" },
		.n_stored = 2,
	},
	{
		.name = "bare newlines, refused",
		.bare = BARE_REJECT,
		.segments = { "HELO x\nHELO x\r\n" ENVELOPE "a\n.\nb\r\n.\r\n" ENVELOPE
			      "fine\r\n.\r\nNOOP\nQU\rIT\r\nQUIT\r\n" },
		.n_stored = 1,
	},
	{
		.name = "TLS, after mail was begun in the clear",
		.tls = TLS_ON,
		.segments = { "EHLO client.example.org\r\nMAIL FROM:<a@example.org>\r\n"
			      "RCPT TO:<b@example.net>\r\nSTARTTLS\r\n",
			"DATA\r\nEHLO client.example.org\r\nSTARTTLS\r\n" ENVELOPE
			"x\r\n.\r\nQUIT\r\n" },
		.n_stored = 1,
	},
	{
		.name = "TLS, required",
		.tls = TLS_REQUIRED,
		.segments = { "EHLO client.example.org\r\nVRFY x\r\nSTARTTLS\r\n",
			"HELO x\r\n" ENVELOPE "x\r\n.\r\n", ENVELOPE ".\r\n",
			"QUIT\r\n" },
		.n_stored = 2,
	},
	{
		.name = "LMTP, a recipient refused",
		.lmtp = true,
		.refuses_of = 2,
		.segments = { "LHLO client.example.org\r\nEHLO x\r\n" ENVELOPE_OF_THREE
			      "DATA\r\nx\r\n.\r\n" ENVELOPE_OF_THREE
			      "BDAT 3\r\nx\r\nBDAT 0\r\nBDAT 3 LAST\r\ny\r\n"
			      "BDAT 3\r\nx\r\nBDAT 3 LAST\r\ny\r\nQUIT\r\n" },
		.n_stored = 2,
	},
	{
		.name = "PRDR, a recipient refused",
		.refuses_of = 1,
		.segments = { "EHLO client.example.org\r\nMAIL FROM:<> PRDR\r\n"
			      "RCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\n"
			      "DATA\r\nx\r\n.\r\nMAIL FROM:<> PRDR\r\n"
			      "RCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\n"
			      "BDAT 3\r\nx\r\nBDAT 3 LAST\r\ny\r\nQUIT\r\n" },
		.n_stored = 2,
	},
	{
		.name = "a TLS handshake on the plain port",
		.segments = { "NOOP\r\n\x16\x03\x01\x02\x01\x01\r\nNOOP\r\n" },
	},
	{
		.name = "HTTP",
		.segments = { "GET / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\n" ENVELOPE
			      ".\r\n" },
	},
};

static void run(struct engine *e, const struct script *script, size_t first, size_t step)
{
	engine_init(e);
	e->settings.tls = script->tls;
	e->settings.bare_newline = script->bare;
	e->settings.lmtp = script->lmtp;
	e->memory.refuses_of = script->refuses_of;
	engine_start(e);
	for (size_t i = 0; i < TEST_COUNT(script->segments) && script->segments[i]; i++)
		engine_send_split(e, span_of(script->segments[i]), first, step);
	engine_stop(e, END_EOF);
}

static bool is_like(struct engine *a, struct engine *b)
{
	return CHECK(span_eq(captured_span(&a->out), captured_span(&b->out))) &&
	       CHECK(span_eq(captured_span(&a->records), captured_span(&b->records))) &&
	       CHECK(span_eq(captured_span(&a->memory.stored),
		       captured_span(&b->memory.stored)));
}

static void check_script(const struct script *script)
{
	struct engine whole, split;
	size_t longest = 0;

	run(&whole, script, SIZE_MAX, 1);
	engine_check(&whole);
	if (!CHECK(whole.memory.n_stored == script->n_stored))
		fprintf(stderr, "%.*s", (int)captured_span(&whole.out).n,
			captured_span(&whole.out).p);
	for (size_t i = 0; i < TEST_COUNT(script->segments) && script->segments[i]; i++)
		if (strlen(script->segments[i]) > longest)
			longest = strlen(script->segments[i]);
	for (size_t first = 1; first <= longest && !test_failed; first++) {
		/* two pieces; or octet by octet, then every few octets */
		run(&split, script, first, first <= 7 ? first : SIZE_MAX);
		engine_check(&split);
		if (!is_like(&whole, &split))
			fprintf(stderr, "\t%s, split at %zu\n", script->name, first);
		engine_done(&split);
	}
	engine_done(&whole);
}

static void test_the_output_is_the_same_however_the_input_is_split(void)
{
	for (size_t i = 0; i < TEST_COUNT(scripts); i++)
		check_script(&scripts[i]);
}

/* Octets inside a line that look like a handshake are none, for any split of the input. */
static void test_a_handshake_begins_a_line(void)
{
	char line[1024];

	memset(line, 'x', sizeof(line));
	for (size_t at = 1; at < 800; at++) {
		struct engine e;
		memcpy(line + at, "\x16\x03\x01", 3);
		memcpy(line + 800, "\r\n", 2);
		engine_init(&e);
		engine_start(&e);
		engine_send_split(&e, (struct span){ line, 802 }, at, SIZE_MAX);
		CHECK(e.session.end == END_NONE);
		CHECK(span_ends(
			captured_span(&e.out), SPAN("500 5.5.2 Line too long\r\n")));
		engine_done(&e);
		memset(line + at, 'x', 3);
	}
}

static void test_nothing_is_heard_after_the_end(void)
{
	static const enum session_end ends[] = { END_EOF, END_BROKEN, END_TIMEOUT,
		END_SESSION_TIMEOUT, END_SHUTDOWN, END_MISCONFIGURED };

	for (size_t i = 0; i < TEST_COUNT(ends); i++) {
		struct engine e;
		size_t n;
		engine_init(&e);
		engine_start(&e);
		engine_send(&e, SPAN("EHLO x\r\nMAIL FROM:<a@example.org>\r\n"));
		engine_stop(&e, ends[i]);
		n = captured_span(&e.out).n;
		engine_send(&e, SPAN("RCPT TO:<b@example.net>\r\nQUIT\r\n"));
		engine_stop(&e, END_TIMEOUT);
		CHECK(captured_span(&e.out).n == n);
		CHECK(e.n_records == 2 && e.session.end == ends[i]);
		engine_check(&e);
		engine_done(&e);
	}
}

struct stopped {
	enum session_end why;
	const char *said;
};

static void test_an_end_from_outside_says_why(void)
{
	static const struct stopped table[] = {
		{ .why = END_EOF, .said = "" },
		{ .why = END_BROKEN, .said = "" },
		{ .why = END_TIMEOUT,
			.said = "421 4.4.2 Timeout; closing connection\r\n" },
		{ .why = END_SESSION_TIMEOUT,
			.said = "421 4.4.2 Session too long; closing connection\r\n" },
		{ .why = END_SHUTDOWN,
			.said = "421 4.3.2 Shutting down; closing connection\r\n" },
		{ .why = END_MISCONFIGURED,
			.said = "421 4.3.5 Misconfigured; try later\r\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		engine_init(&e);
		engine_start(&e);
		captured_empty(&e.out);
		engine_stop(&e, table[i].why);
		CHECK_SPAN(captured_span(&e.out), table[i].said);
		engine_done(&e);
	}
}

/* All at once, as a client that pipelines without end: no reply is lost, and `out` never overflows. */
struct refused {
	enum session_end why;
	const char *argument, *said, *told;
};

/* RFC 5321 3.1: a reply in place of the greeting, after which no input is taken */
static void test_a_client_may_be_refused_in_place_of_the_greeting(void)
{
	static const struct refused table[] = {
		{ .why = END_DENIED,
			.argument = "Not from there",
			.said = "554 5.7.1 Not from there\r\n",
			.told = "session end=\"denied\" peer=\"192.0.2.1\" "
				"port=\"50000\" "
				"messages=\"0\" refused=\"1\" refused_commands=\"1\" "
				"reason=\"554 5.7.1 Not from there\" "
				"duration_ms=\"3\"\n" },
		{ .why = END_BAD_PROXY,
			.argument = "late",
			.said = "421 4.3.5 PROXY header late; closing connection\r\n",
			.told = "session! end=\"bad-proxy\" status=\"Proxy Error (SMTP "
				"Receive)\" peer=\"192.0.2.1\" "
				"port=\"50000\" messages=\"0\" refused=\"1\" "
				"refused_commands=\"1\" "
				"reason=\"421 4.3.5 PROXY header late; closing "
				"connection\" "
				"duration_ms=\"3\"\n" },
		{ .why = END_PROXY_CHECK,
			.argument = "",
			.said = "",
			.told = "session end=\"proxy-check\" peer=\"192.0.2.1\" "
				"port=\"50000\" messages=\"0\" "
				"duration_ms=\"3\"\n" },
		{ .why = END_SHUTDOWN,
			.argument = "",
			.said = "421 4.3.2 Shutting down; closing connection\r\n",
			.told = "session end=\"shutdown\" peer=\"192.0.2.1\" "
				"port=\"50000\" messages=\"0\" refused=\"1\" "
				"refused_commands=\"1\" "
				"reason=\"421 4.3.2 Shutting down; closing connection\" "
				"duration_ms=\"3\"\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		engine_init(&e);
		engine_open(&e);
		e.now.milliseconds += 3;
		session_refuse(
			&e.session, table[i].why, span_of(table[i].argument), &e.now);
		engine_flush(&e);
		engine_send(&e, SPAN("EHLO x\r\nQUIT\r\n"));
		CHECK_SPAN(captured_span(&e.out), table[i].said);
		CHECK_SPAN(captured_span(&e.records), table[i].told);
		engine_check(&e);
		engine_done(&e);
	}
}

static void test_any_number_of_pipelined_commands_is_answered(void)
{
	struct captured input;
	struct engine e;
	char hostname[256];
	size_t n_last = 0;

	memset(hostname, 'h', 255);
	hostname[255] = '\0';
	captured_open(&input);
	for (size_t i = 0; i < 20000; i++)
		fputs(i % 2 ? "EHLO x\r\n" : "MAIL FROM:<> \x01=\x02\r\n", input.to);
	fputs("QUIT\r\n", input.to);
	engine_init(&e);
	e.settings.tls = TLS_ON;
	e.settings.hostname = hostname;
	e.settings.error_limit = SIZE_MAX;
	engine_start(&e);
	engine_send(&e, captured_span(&input));
	for (const char *p = captured_span(&e.out).p; (p = strstr(p, "8BITMIME\r\n"));
		p++)
		n_last++;
	CHECK(n_last == 10000);
	CHECK(e.session.end == END_QUIT);
	engine_stop(&e, END_EOF);
	engine_check(&e);
	engine_done(&e);
	captured_close(&input);
}

static void test_too_many_errors_end_it(void)
{
	struct engine e;

	engine_init(&e);
	e.settings.error_limit = 3;
	engine_start(&e);
	captured_empty(&e.out);
	engine_send(&e, SPAN("EHLO\r\nNOOP\r\nEHLO\r\nEHLO\r\nNOOP\r\n"));
	CHECK(span_ends(captured_span(&e.out),
		SPAN("501 5.5.4 Argument missing\r\n"
		     "421 4.7.0 Too many errors; closing connection\r\n")));
	CHECK(e.session.end == END_ERRORS);
	engine_check(&e);
	engine_done(&e);
}

static void test_a_delivered_message_forgives_errors(void)
{
	struct engine e;

	engine_init(&e);
	e.settings.error_limit = 2;
	engine_start(&e);
	for (size_t i = 0; i < 5; i++)
		engine_send(&e, SPAN("EHLO x\r\nFOO\r\n" ENVELOPE ".\r\n"));
	CHECK(e.memory.n_stored == 5 && e.session.end == END_NONE);
	engine_send(&e, SPAN("FOO\r\nFOO\r\n"));
	CHECK(e.session.end == END_ERRORS);
	engine_done(&e);
}

static void test_commands_that_do_nothing_are_limited(void)
{
	static const char *const junk[] = { "NOOP\r\n", "RSET\r\n", "VRFY x\r\n",
		"HELP\r\n" };

	for (size_t i = 0; i < TEST_COUNT(junk); i++) {
		struct engine e;
		size_t n = 0;
		engine_init(&e);
		engine_start(&e);
		for (; n < 1000 && e.session.end == END_NONE; n++)
			engine_send(&e, span_of(junk[i]));
		CHECK(e.session.end == END_ERRORS);
		CHECK(n == JUNK_COMMANDS_MAX + e.settings.error_limit);
		engine_done(&e);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_the_output_is_the_same_however_the_input_is_split),
		TEST(test_a_handshake_begins_a_line),
		TEST(test_nothing_is_heard_after_the_end),
		TEST(test_an_end_from_outside_says_why),
		TEST(test_a_client_may_be_refused_in_place_of_the_greeting),
		TEST(test_any_number_of_pipelined_commands_is_answered),
		TEST(test_too_many_errors_end_it),
		TEST(test_a_delivered_message_forgives_errors),
		TEST(test_commands_that_do_nothing_are_limited),
	};

	return test_main(tests, TEST_COUNT(tests));
}
