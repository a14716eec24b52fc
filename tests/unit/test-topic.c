/* SPDX-License-Identifier: ISC */
/* smtp/ending: each ended object has one topic, and the panel has the status lines of the manual. */
#include "smtp/ending.h"
#include "smtp/record-tables.h"
#include "unit/engine.h"
#include "unit/test.h"

#define ENVELOPE "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"

static void test_each_topic_has_a_number_of_its_own(void)
{
	for (enum topic i = 0; i < TOPICS; i++) {
		CHECK(strspn(topic_get(i)->id, "0123456789abcdef") == TOPIC_ID_LENGTH);
		for (enum topic j = 0; j < i; j++)
			CHECK(strcmp(topic_get(i)->id, topic_get(j)->id) != 0);
	}
}

/* Each status needs at least the level of a warning, because otherwise it is only on the panel. */
static void test_what_the_panel_says_is_a_warning(void)
{
	for (enum topic i = 0; i < TOPICS; i++)
		if (topic_get(i)->status)
			CHECK(topic_get(i)->level <= RECORD_LEVEL_WARNING &&
				strlen(topic_get(i)->status) <= 40);
}

struct ended {
	const char *input;
	enum tls_mode tls;
	enum session_end end;
	enum topic topic;
};

static void test_a_session_is_told_by_how_it_ended(void)
{
	static const struct ended table[] = {
		{ "QUIT\r\n", TLS_OFF, END_QUIT, TOPIC_SESSION },
		{ "", TLS_OFF, END_EOF, TOPIC_SESSION },
		{ "", TLS_OFF, END_DENIED, TOPIC_DENIED },
		{ "", TLS_OFF, END_BAD_PROXY, TOPIC_PROXY },
		{ "", TLS_OFF, END_PROXY_CHECK, TOPIC_PROXY_CHECK },
		{ "", TLS_OFF, END_MISCONFIGURED, TOPIC_MISCONFIGURED },
		{ "", TLS_IMPLICIT, END_TLS_UNUSABLE, TOPIC_TLS_UNUSABLE },
		{ "GET / HTTP/1.1\r\n", TLS_OFF, END_EOF, TOPIC_HTTP },
		{ "\x16\x03\x01\x01\x02\x01", TLS_ON, END_EOF, TOPIC_WRONG_PORT },
		{ "STARTTLS\r\nNOOP\r\n", TLS_ON, END_EOF, TOPIC_INJECTION },
		{ "EHLO x\r\nMAIL FROM:<>\r\n", TLS_REQUIRED, END_EOF,
			TOPIC_TLS_REJECTED },
		{ "EHLO x\r\nVRFY a\r\n", TLS_REQUIRED, END_EOF, TOPIC_TLS_REJECTED },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		engine_init(&e);
		e.settings.tls = table[i].tls;
		engine_start(&e);
		engine_send(&e, span_of(table[i].input));
		engine_stop(&e, table[i].end);
		CHECK(topic_of_session(&e.session) == table[i].topic);
		CHECK(session_status(&e.session) == topic_get(table[i].topic)->status);
		engine_done(&e);
	}
}

static void test_the_panel_has_the_manuals_words(void)
{
	CHECK(!strcmp(topic_get(TOPIC_TLS_FAILED)->status, "SSL Error (SMTP Receive)"));
	CHECK(!strcmp(
		topic_get(TOPIC_TLS_REJECTED)->status, "SSL Error (SMTP RX Reject)"));
}

static void test_a_fault_of_our_certificate_is_told_behind_a_failure(void)
{
	static const struct tls_failure failure = { .how = TLS_END_CLOSED };
	struct engine e;

	engine_init(&e);
	engine_start(&e);
	session_tls_fault(&e.session, "tls.crt: has expired");
	CHECK(topic_of_session(&e.session) == TOPIC_CERTIFICATE);
	e.session.tls_unusable = true;
	CHECK(topic_of_session(&e.session) == TOPIC_TLS_UNUSABLE);
	session_tls_failed(&e.session, &failure, &e.now);
	CHECK(topic_of_session(&e.session) == TOPIC_TLS_FAILED);
	engine_done(&e);
}

struct message {
	const char *input;
	enum memory_hook refuses;
	const char *told;
};

static void test_a_message_is_told_by_what_became_of_it(void)
{
	static const struct message table[] = {
		{ ENVELOPE "DATA\r\n.\r\n", HOOK_NONE, "message id=" },
		{ ENVELOPE "RSET\r\n", HOOK_NONE, "message id=" },
		{ ENVELOPE, HOOK_NONE, "outcome=\"given-up\"" },
		{ ENVELOPE "QUIT\r\n", HOOK_NONE, "outcome=\"checked\"" },
		{ ENVELOPE "RCPT TO:<x@other.example>\r\nQUIT\r\n", HOOK_NONE,
			"outcome=\"given-up\"" },
		{ "MAIL FROM:<>\r\nQUIT\r\n", HOOK_NONE, "outcome=\"given-up\"" },
		{ ENVELOPE "DATA\r\nhalf a line", HOOK_NONE,
			"message! id=\"1796116087.M000042P7Q1\" outcome=\"given-up\" "
			"status=\"Connection Lost (SMTP Receive)\"" },
		{ ENVELOPE "BDAT 4\r\nab", HOOK_NONE,
			"status=\"Connection Lost (SMTP Receive)\"" },
		{ ENVELOPE "BDAT 2\r\nab", HOOK_NONE,
			"status=\"Connection Lost (SMTP Receive)\"" },
		{ ENVELOPE "BDAT 2\r\nabRSET\r\n", HOOK_NONE, "outcome=\"given-up\"" },
		{ ENVELOPE "DATA\r\n.\r\n", HOOK_COMMIT,
			"outcome=\"refused\" status=\"Delivery Error (SMTP Receive)\"" },
		/* without a recipient BDAT ends the transaction, and DATA does not */
		{ ENVELOPE "BDAT 2 LAST\r\nab", HOOK_RCPT,
			"message! id=\"1796116087.M000042P7Q1\" outcome=\"refused\" "
			"status=\"Delivery Error (SMTP Receive)\"" },
		{ ENVELOPE "DATA\r\n", HOOK_RCPT,
			"message! id=\"1796116087.M000042P7Q1\" outcome=\"refused\" "
			"status=\"Delivery Error (SMTP Receive)\"" },
		{ ENVELOPE "RCPT TO:<x@other.example>\r\nBDAT 2 LAST\r\nab", HOOK_RCPT,
			"outcome=\"refused\" status=\"Delivery Error (SMTP Receive)\"" },
		{ "MAIL FROM:<a@example.org>\r\nRCPT TO:<x@other.example>\r\nQUIT\r\n",
			HOOK_NONE, "outcome=\"refused\"" },
		{ ENVELOPE, HOOK_RCPT,
			"outcome=\"refused\" status=\"Delivery Error (SMTP Receive)\"" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		engine_init(&e);
		engine_start(&e);
		e.memory.refuses = table[i].refuses;
		engine_send(&e, SPAN("EHLO x\r\n"));
		engine_send(&e, span_of(table[i].input));
		engine_stop(&e, END_EOF);
		if (!CHECK(tells(&e, table[i].told)))
			fprintf(stderr, "\t%s: %.*s", table[i].input,
				(int)captured_span(&e.records).n,
				captured_span(&e.records).p);
		engine_done(&e);
	}
}

/* Nor one that had more recipients than it may. */
static void test_a_refusal_of_a_recipient_is_no_fault_of_ours(void)
{
	struct engine e;

	engine_init(&e);
	engine_start(&e);
	e.settings.recipient_limit = 1;
	engine_send(&e, SPAN("EHLO x\r\n" ENVELOPE "RCPT TO:<c@example.net>\r\n"
			     "DATA\r\n.\r\n"));
	CHECK(tells(&e, "message id=") && tells(&e, " refused=\"1\" "));
	engine_done(&e);
}

/* One recipient has met a fault of this host, another got the message, and its content may be refused. */
static void test_a_fault_is_told_whatever_became_of_the_others(void)
{
	static const struct message table[] = {
		{ "RCPT TO:<c@example.net>\r\nDATA\r\n.\r\n", HOOK_NONE,
			"message! id=\"1796116087.M000042P7Q1\" outcome=\"delivered\" "
			"status=\"Delivery Error (SMTP Receive)\"" },
		{ "RCPT TO:<x@other.example>\r\nRCPT TO:<c@example.net>\r\n"
		  "DATA\r\n.\r\n",
			HOOK_NONE,
			"refused=\"2\" "
			"refused_to=\"<b@example.net>,<x@other.example>\" "
			"refused_replies=\"451 4.3.0 The message could not be stored; "
			"try later|550 5.7.1 No mail is accepted here for that domain\" "
			"file=\"1796116087.M000042P7Q1.host,S=201\" "
			"reason=\"451 4.3.0 The message could not be stored; try "
			"later\"" },
		{ "RCPT TO:<c@example.net>\r\nBDAT 8 LAST\r\nSubject:", HOOK_COMMIT,
			"message! id=\"1796116087.M000042P7Q1\" outcome=\"refused\" " },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		engine_init(&e);
		engine_start(&e);
		e.memory.refuses = HOOK_RCPT;
		engine_send(&e, SPAN("EHLO x\r\n" ENVELOPE));
		e.memory.refuses = table[i].refuses;
		engine_send(&e, span_of(table[i].input));
		if (!CHECK(tells(&e, table[i].told)))
			fprintf(stderr, "\t%s: %.*s", table[i].input,
				(int)captured_span(&e.records).n,
				captured_span(&e.records).p);
		engine_done(&e);
	}
}

/* The content is refused by a rule of this host, and a recipient was by a fault. */
static void test_a_fault_at_a_recipient_is_told_beside_a_refusal_by_a_rule(void)
{
	struct engine e;

	engine_init(&e);
	engine_start(&e);
	e.memory.refuses = HOOK_RCPT;
	engine_send(&e, SPAN("EHLO x\r\n" ENVELOPE));
	e.memory.refuses = HOOK_COMMIT;
	e.memory.refuses_with = REPLY_HOPS;
	engine_send(&e, SPAN("RCPT TO:<c@example.net>\r\nDATA\r\n.\r\n"));
	CHECK(tells(&e, "message! id=\"1796116087.M000042P7Q1\" outcome=\"refused\""));
	CHECK(tells(&e, "status=\"Delivery Error (SMTP Receive)\""));
	engine_done(&e);
}

/* RFC 8446 4.4.4: a client of TLS 1.3 refuses the certificate when this host has finished the handshake. */
static void test_an_alert_before_the_first_command_is_a_failed_handshake(void)
{
	static const struct tls_failure alert = { .how = TLS_END_ALERT, .alert = 48 };
	static const struct tls_facts facts = { .version = "TLS1.3" };

	for (int greeted = 0; greeted < 2; greeted++) {
		struct engine e;
		engine_init(&e);
		engine_start(&e);
		session_secured(&e.session, &facts);
		if (greeted)
			engine_send(&e, SPAN("EHLO x\r\n"));
		session_tls_lost(&e.session, END_BROKEN, &alert, &e.now);
		CHECK(e.session.end == (greeted ? END_BROKEN : END_TLS_FAILED));
		engine_done(&e);
	}
}

struct attempt {
	const char *input;
	bool unavailable;
	const char *told;
};

/* Of each that came to nothing, and of no other. */
static void test_an_attempt_to_log_in_is_told_by_what_it_came_to(void)
{
	static const struct attempt table[] = {
		{ "AUTH PLAIN AHVzZXIAZ3Vlc3M=\r\n", false,
			"auth! outcome=\"failed\" peer=\"192.0.2.1\" port=\"50000\" "
			"helo=\"x\" tls=\"TLS1.3\" cipher=\"TLS_AES_256_GCM_SHA384\" "
			"mechanism=\"PLAIN\" user=\"user\" auth_failures=\"1\" "
			"reason=\"535 5.7.8 Authentication failed\"\n" },
		{ "AUTH PLAIN\r\n", true, "auth! outcome=\"unavailable\"" },
		{ "AUTH login dXNlcg==\r\n*\r\n", false,
			"auth outcome=\"given-up\" peer=\"192.0.2.1\" port=\"50000\" "
			"helo=\"x\" tls=\"TLS1.3\" cipher=\"TLS_AES_256_GCM_SHA384\" "
			"mechanism=\"LOGIN\" user=\"user\" "
			"reason=\"501 5.7.0 Authentication cancelled\"\n" },
		{ "AUTH DIGEST-MD5 =\r\n", false, "auth outcome=\"refused\"" },
		{ "AUTH DIGEST-MD5 =\r\n", false, "mechanism=\"DIGEST-MD5\"" },
		{ "AUTH X_Y =\r\n", false, "mechanism=\"X_Y\"" },
		{ "AUTH PLAIN x\r\n", false, "auth outcome=\"refused\"" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		engine_init(&e);
		e.settings.tls = TLS_ON;
		e.settings.auth = AUTH_ON;
		e.users.unavailable = table[i].unavailable;
		engine_start(&e);
		engine_send(&e, SPAN("EHLO x\r\nSTARTTLS\r\n"));
		engine_send(&e, SPAN("EHLO x\r\n"));
		engine_send(&e, span_of(table[i].input));
		if (!CHECK(tells(&e, table[i].told)))
			fprintf(stderr, "\t%s: %.*s", table[i].input,
				(int)captured_span(&e.records).n,
				captured_span(&e.records).p);
		e.users.unavailable = false;
		engine_send(&e, SPAN("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"));
		CHECK(e.n_attempts == 1 && !e.bad_record);
		engine_done(&e);
	}
}

/* A word that is no name of a mechanism may be a password in the wrong place (RFC 4422 3.1). */
static void test_a_mechanism_that_cannot_be_one_is_not_told(void)
{
	static const char *const words[] = { "AHVzZXIAc2VjcmV0", "secret", "A+B", "A.B",
		"A{B", "ABCDEFGHIJKLMNOPQRSTU", "\xc3\x84" };

	for (size_t i = 0; i < TEST_COUNT(words); i++) {
		struct engine e;
		char line[64];
		int n = snprintf(line, sizeof(line), "AUTH %s\r\n", words[i]);
		engine_init(&e);
		e.settings.tls = TLS_ON;
		e.settings.auth = AUTH_ON;
		engine_start(&e);
		engine_send(&e, SPAN("EHLO x\r\nSTARTTLS\r\n"));
		engine_send(&e, SPAN("EHLO x\r\n"));
		engine_send(&e, (struct span){ line, (size_t)n });
		CHECK(e.n_attempts == 1 && !tells(&e, "mechanism="));
		engine_done(&e);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_each_topic_has_a_number_of_its_own),
		TEST(test_what_the_panel_says_is_a_warning),
		TEST(test_a_session_is_told_by_how_it_ended),
		TEST(test_the_panel_has_the_manuals_words),
		TEST(test_a_fault_of_our_certificate_is_told_behind_a_failure),
		TEST(test_a_message_is_told_by_what_became_of_it),
		TEST(test_a_refusal_of_a_recipient_is_no_fault_of_ours),
		TEST(test_a_fault_is_told_whatever_became_of_the_others),
		TEST(test_a_fault_at_a_recipient_is_told_beside_a_refusal_by_a_rule),
		TEST(test_an_alert_before_the_first_command_is_a_failed_handshake),
		TEST(test_an_attempt_to_log_in_is_told_by_what_it_came_to),
		TEST(test_a_mechanism_that_cannot_be_one_is_not_told),
	};

	return test_main(tests, TEST_COUNT(tests));
}
