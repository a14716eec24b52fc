/* SPDX-License-Identifier: ISC */
/* smtp/session with TLS: RFC 3207, and the four values of `tls`. */
#include "unit/engine.h"
#include "unit/test.h"

#define EHLO "EHLO client.example.org\r\n"
#define ENVELOPE "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"

static void begin(struct engine *e, enum tls_mode mode)
{
	engine_init(e);
	e->settings.tls = mode;
	engine_start(e);
	if (mode == TLS_IMPLICIT)
		session_secured(&e->session, &(struct tls_facts){ .version = "TLS1.3" });
	captured_empty(&e->out);
}

static bool says(struct engine *e, const char *text)
{
	struct span out = captured_span(&e->out);

	return memmem(out.p, out.n, text, strlen(text)) != NULL;
}

static bool records(struct engine *e, const char *text)
{
	struct span all = captured_span(&e->records);

	return memmem(all.p, all.n, text, strlen(text)) != NULL;
}

static void test_starttls_is_offered_where_it_can_be_had(void)
{
	static const bool offered[] = {
		[TLS_OFF] = false,
		[TLS_ON] = true,
		[TLS_REQUIRED] = true,
		[TLS_IMPLICIT] = false,
	};

	for (enum tls_mode mode = TLS_OFF; mode <= TLS_IMPLICIT; mode++) {
		struct engine e;
		begin(&e, mode);
		engine_send(&e, SPAN(EHLO));
		CHECK(says(&e, "STARTTLS") == offered[mode]);
		engine_send(&e, SPAN("STARTTLS\r\n"));
		CHECK((e.n_handshakes == 1) == offered[mode]);
		captured_empty(&e.out);
		engine_send(&e, SPAN(EHLO));
		CHECK(!says(&e, "STARTTLS"));
		engine_done(&e);
	}
}

/* RFC 3207 4.2: the state from before TLS is discarded */
static void test_after_tls_the_dialogue_starts_again(void)
{
	struct engine e;

	begin(&e, TLS_ON);
	engine_send(&e, SPAN(EHLO ENVELOPE "STARTTLS\r\n"));
	CHECK(span_ends(captured_span(&e.out), SPAN("220 2.0.0 Go ahead\r\n")));
	CHECK(e.session.helo[0] == '\0' && !e.session.tx.open);
	captured_empty(&e.out);
	engine_send(&e, SPAN("DATA\r\nMAIL FROM:<>\r\nSTARTTLS\r\n"));
	CHECK_SPAN(captured_span(&e.out),
		"503 5.5.1 EHLO first\r\n503 5.5.1 EHLO first\r\n"
		"503 5.5.1 TLS is active already\r\n");
	CHECK(e.n_handshakes == 1);
	engine_stop(&e, END_EOF);
	CHECK(records(&e, "outcome=\"given-up\""));
	CHECK(!records(&e, "helo=\"client.example.org\" tls="));
	CHECK(!e.memory.wrong);
	engine_done(&e);
}

/* Input after STARTTLS is never carried out, neither in the clear nor later. */
static void test_nothing_is_injected_behind_starttls(void)
{
	static const char *const behind[] = { "EHLO evil\r\n", "RSET\r\n", "NOOP\r\n",
		"MAIL FROM:<evil@example.org>\r\n", "QUIT\r\n", "STARTTLS\r\n", "\r\n",
		"\n", "x", ENVELOPE "DATA\r\n.\r\n", "\x16\x03\x01" };

	for (size_t i = 0; i < TEST_COUNT(behind); i++) {
		struct engine e;
		char input[256];
		int n = snprintf(input, sizeof(input), EHLO "STARTTLS\r\n%s", behind[i]);
		begin(&e, TLS_ON);
		engine_send(&e, (struct span){ input, (size_t)n });
		CHECK(span_ends(captured_span(&e.out),
			SPAN(" MAILMAX=1000\r\n"
			     "503 5.5.1 Input behind STARTTLS before its reply\r\n")));
		CHECK(e.session.end == END_TLS_INJECTION && e.n_handshakes == 0);
		engine_send(&e, SPAN("QUIT\r\n"));
		CHECK(!says(&e, "221"));
		CHECK(records(&e, "end=\"tls-injection\""));
		CHECK(e.n_sessions == 1);
		engine_done(&e);
	}
}

/* 530 to every verb but six; the manual ends the connection at MAIL. */
static void test_required_means_required(void)
{
	static const char *const refused[] = { "RCPT TO:<b@example.net>\r\n", "DATA\r\n",
		"VRFY x\r\n", "HELP\r\n", "EXPN x\r\n", "AUTH PLAIN\r\n",
		"BDAT 0 LAST\r\n", "FOO\r\n", "TURN\r\n" };
	static const char *const allowed[] = { "EHLO x\r\n", "HELO x\r\n", "NOOP\r\n",
		"RSET\r\n" };
	static const struct span reply = {
		"530 5.7.0 Must issue a STARTTLS command first\r\n", 47
	};
	struct engine e;

	begin(&e, TLS_REQUIRED);
	for (size_t i = 0; i < TEST_COUNT(refused); i++) {
		captured_empty(&e.out);
		engine_send(&e, span_of(refused[i]));
		CHECK(span_eq(captured_span(&e.out), reply));
	}
	for (size_t i = 0; i < TEST_COUNT(allowed); i++) {
		captured_empty(&e.out);
		engine_send(&e, span_of(allowed[i]));
		CHECK(says(&e, "250"));
	}
	captured_empty(&e.out);
	engine_send(&e, SPAN("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"));
	CHECK(span_eq(captured_span(&e.out), reply));
	CHECK(e.session.end == END_REJECTED);
	CHECK(records(&e, "status=\"SSL Error (SMTP RX Reject)\""));
	CHECK(e.n_records == 1);
	engine_done(&e);
}

static void test_required_takes_mail_inside_tls(void)
{
	struct engine e;

	begin(&e, TLS_REQUIRED);
	engine_send(&e, SPAN("VRFY x\r\nSTARTTLS\r\n"));
	engine_send(&e, SPAN(EHLO ENVELOPE "DATA\r\nx\r\n.\r\nQUIT\r\n"));
	CHECK(e.memory.n_stored == 1);
	CHECK(memmem(captured_span(&e.memory.stored).p, captured_span(&e.memory.stored).n,
		"with ESMTPS id", 14));
	engine_stop(&e, END_EOF);
	CHECK(!records(&e, "status="));
	CHECK(records(&e, "tls=\"TLS1.3\" cipher=\"TLS_AES_256_GCM_SHA384\""));
	engine_done(&e);
}

/* An unusable pair costs no mail with `on`, and refuses it with `required`. */
static void test_an_unusable_certificate_is_told(void)
{
	struct engine e;

	begin(&e, TLS_ON);
	e.verdict = TLS_UNUSABLE;
	engine_send(&e, SPAN(EHLO ENVELOPE "STARTTLS\r\n"));
	CHECK(span_ends(captured_span(&e.out), SPAN("454 4.7.0 TLS not available\r\n")));
	engine_send(&e, SPAN("DATA\r\nx\r\n.\r\n"));
	CHECK(e.memory.n_stored == 1);
	engine_stop(&e, END_EOF);
	CHECK(records(&e, "session!"));
	CHECK(records(&e, "tls_fault=\"key of another \\x22certificate\\x22\""));
	CHECK(!e.bad_record);
	engine_done(&e);

	begin(&e, TLS_REQUIRED);
	e.verdict = TLS_UNUSABLE;
	engine_send(&e, SPAN(EHLO "STARTTLS\r\n"));
	CHECK(span_ends(captured_span(&e.out),
		SPAN("421 4.3.0 TLS not available; closing connection\r\n")));
	engine_send(&e, SPAN(EHLO ENVELOPE));
	CHECK(e.session.end == END_TLS_UNUSABLE && e.n_sessions == 1);
	CHECK(records(&e, "tls_fault="));
	CHECK(records(&e, "reason=\"421 4.3.0 TLS not available; closing connection\""));
	engine_done(&e);
}

static void test_a_failed_handshake_ends_it_in_silence(void)
{
	struct engine e;

	begin(&e, TLS_ON);
	e.handshake_fails = true;
	engine_send(&e, SPAN(EHLO ENVELOPE "STARTTLS\r\n"));
	CHECK(span_ends(captured_span(&e.out), SPAN("220 2.0.0 Go ahead\r\n")));
	captured_empty(&e.out);
	engine_send(&e, SPAN("DATA\r\n.\r\n"));
	engine_stop(&e, END_TIMEOUT);
	CHECK(captured_span(&e.out).n == 0);
	CHECK(e.session.end == END_TLS_FAILED && e.n_sessions == 1);
	CHECK(records(&e, "status=\"SSL Error (SMTP Receive)\""));
	CHECK(records(&e, "tls_error=\"No \\x22common\\x22 cipher\""));
	CHECK(!e.bad_record);
	engine_done(&e);
}

/* While TLS is prepared no input is taken, even if the caller passes some. */
static void test_nothing_is_taken_between_starttls_and_its_reply(void)
{
	char input[] = "STARTTLS\r\n", more[] = "NOOP\r\n";
	struct bytes in = { input, sizeof(input) - 1 };
	struct engine e;

	begin(&e, TLS_ON);
	CHECK(session_take(&e.session, &in, &e.now) == SESSION_TLS && in.n == 0);
	in = (struct bytes){ more, sizeof(more) - 1 };
	CHECK(session_take(&e.session, &in, &e.now) == SESSION_TLS);
	CHECK(in.n == sizeof(more) - 1 && e.session.out.n == 0);
	engine_done(&e);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_starttls_is_offered_where_it_can_be_had),
		TEST(test_after_tls_the_dialogue_starts_again),
		TEST(test_nothing_is_injected_behind_starttls),
		TEST(test_required_means_required),
		TEST(test_required_takes_mail_inside_tls),
		TEST(test_an_unusable_certificate_is_told),
		TEST(test_a_failed_handshake_ends_it_in_silence),
		TEST(test_nothing_is_taken_between_starttls_and_its_reply),
	};

	return test_main(tests, TEST_COUNT(tests));
}
