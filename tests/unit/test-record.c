/* SPDX-License-Identifier: ISC */
/* smtp/record: each ended object has one record, made from values, and a value of a client never leaves its field. */
#include "proto/tls-names.h"
#include "smtp/ending.h"
#include "unit/engine.h"
#include "unit/test.h"

#define ENVELOPE "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"

static void begin(struct engine *e)
{
	engine_init(e);
	engine_start(e);
}

static void check_records(struct engine *e, const char *text)
{
	engine_stop(e, END_EOF);
	CHECK_SPAN(captured_span(&e->records), text);
	CHECK(!e->bad_record);
	engine_done(e);
}

static void test_tells_of_a_message(void)
{
	struct engine e;

	begin(&e);
	engine_send(&e,
		SPAN("EHLO client.example.org\r\n" ENVELOPE
		     "RCPT TO:<x@other.example>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n"));
	e.now.milliseconds += 250;
	engine_send(&e, SPAN("Message-ID: <1@example.org>\r\n\r\n.\r\nQUIT\r\n"));
	check_records(&e,
		"message id=\"1796116087.M000042P7Q1\" outcome=\"delivered\" "
		"peer=\"192.0.2.1\" helo=\"client.example.org\" from=\"<a@example.org>\" "
		"to=\"<b@example.net>,<c@example.net>\" recipients=\"2\" refused=\"1\" "
		"refused_to=\"<x@other.example>\" size=\"31\" "
		"message_id=\"<1@example.org>\" "
		"file=\"1796116087.M000042P7Q1.host,S=198\" "
		"reason=\"550 5.7.1 No mail is accepted here for that domain\" "
		"duration_ms=\"250\"\n"
		"session end=\"quit\" peer=\"192.0.2.1\" port=\"50000\" "
		"helo=\"client.example.org\" transactions=\"1\" messages=\"1\" "
		"refused=\"1\" reason=\"550 5.7.1 No mail is accepted here for that "
		"domain\" "
		"duration_ms=\"250\"\n");
}

static void test_tells_of_a_session_without_a_word(void)
{
	struct engine e;

	begin(&e);
	check_records(&e, "session end=\"eof\" peer=\"192.0.2.1\" port=\"50000\" "
			  "messages=\"0\" duration_ms=\"0\"\n");
}

static void test_tells_of_a_transaction_given_up(void)
{
	struct engine e;

	begin(&e);
	engine_send(&e, SPAN("HELO x\r\n" ENVELOPE "RSET\r\n"));
	CHECK(tells(&e, "message id=\"1796116087.M000042P7Q1\" outcome=\"checked\" "));
	CHECK(!tells(&e, "reason="));
	engine_send(&e, SPAN(ENVELOPE "RCPT TO:<x@other.example>\r\nHELO y\r\n"));
	CHECK(tells(&e, "P7Q2\" outcome=\"given-up\" peer=\"192.0.2.1\" helo=\"x\" "));
	CHECK(tells(&e, "reason=\"550 5.7.1 "));
	CHECK(e.n_records == 2);
	engine_done(&e);
}

#define TWO_REFUSED "RCPT TO:<x@other.example>\r\nRCPT TO:<y@other.example>\r\n"
#define TWO_TOLD "<x@other.example>,<y@other.example>"
#define TEN_REFUSED TWO_REFUSED TWO_REFUSED TWO_REFUSED TWO_REFUSED TWO_REFUSED
#define TEN_TOLD TWO_TOLD "," TWO_TOLD "," TWO_TOLD "," TWO_TOLD "," TWO_TOLD

/* The record of a transaction with these recipients has that text. */
static void check_transaction(const char *input, const char *told)
{
	struct engine e;

	begin(&e);
	engine_send(&e, SPAN("HELO x\r\nMAIL FROM:<a@example.org>\r\n"));
	engine_send(&e, span_of(input));
	if (!CHECK(tells(&e, told)))
		fprintf(stderr, "\t%s: %.*s", input, (int)captured_span(&e.records).n,
			captured_span(&e.records).p);
	engine_done(&e);
}

static void test_tells_the_first_ten_of_those_that_were_refused(void)
{
	static const struct {
		const char *input, *told;
	} table[] = {
		{ TEN_REFUSED "QUIT\r\n",
			"outcome=\"refused\" peer=\"192.0.2.1\" helo=\"x\" "
			"from=\"<a@example.org>\" refused=\"10\" refused_to=\"" TEN_TOLD
			"\" reason=\"550 5.7.1 " },
		{ TEN_REFUSED "RCPT TO:<z@other.example>\r\nQUIT\r\n",
			"refused=\"11\" refused_to=\"" TEN_TOLD ",...\" " },
		{ "RCPT TO:<b@example.net>\r\n" TEN_REFUSED
		  "RCPT TO:<z@other.example>\r\nDATA\r\n.\r\nQUIT\r\n",
			"to=\"<b@example.net>\" recipients=\"1\" refused=\"11\" "
			"refused_to=\"" TEN_TOLD ",...\" " },
		{ "RCPT TO:<\"a\\>\\,\\\"\"@other.example>\r\nRSET\r\n",
			"refused_to=\"<" },
		{ "RCPT TO:<no address>\r\nRSET\r\n", "refused=\"1\" reason=\"" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		check_transaction(table[i].input, table[i].told);
}

/* `reason` is one reply, and each of several recipients may get another. */
static void test_each_refused_recipient_has_its_reply(void)
{
	static const struct {
		const char *input, *told;
	} table[] = {
		{ "RCPT TO:<x@other.example>\r\nRCPT TO:<b@example.net> A|B=1\r\n"
		  "RSET\r\n",
			"refused_to=\"<x@other.example>,<b@example.net>\" "
			"refused_replies=\"550 5.7.1 No mail is accepted here for that "
			"domain|501 5.5.4 Parameter not understood: A\\x7CB=1\" "
			"reason=\"501 " },
		/* one that is no address has no place in the lists */
		{ "RCPT TO:<x@other.example>\r\nRCPT TO:<no address>\r\n"
		  "RCPT TO:<y@other.example>\r\nRSET\r\n",
			"refused=\"3\" refused_to=\"" TWO_TOLD "\" reason=\"550 " },
		{ "RCPT TO:<x@other.example>\r\nRCPT TO:<no address>\r\nRSET\r\n",
			"refused_to=\"<x@other.example>\" refused_replies=\"550 5.7.1 "
			"No mail is accepted here for that domain\" reason=\"501 " },
		/* a long one is cut, but no escape is */
		{ "RCPT TO:<b@example.net> ||||||||||||||||||||||||||||||||||\\\r\n"
		  "RCPT TO:<no address>\r\nRSET\r\n",
			"refused_replies=\"501 5.5.4 Parameter not understood: "
			"\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C"
			"\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C\\x7C...\" " },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		check_transaction(table[i].input, table[i].told);
}

static void test_a_refusal_of_the_content_leaves_theirs_to_the_recipients(void)
{
	struct engine e;

	begin(&e);
	e.memory.refuses = HOOK_COMMIT;
	engine_send(&e,
		SPAN("HELO x\r\n" ENVELOPE "RCPT TO:<x@other.example>\r\nDATA\r\n.\r\n"));
	CHECK(tells(&e, "refused_to=\"<x@other.example>\" refused_replies=\"550 5.7.1 No "
			"mail is accepted here for that domain\""));
	CHECK(tells(&e, "reason=\"451 4.3.0 The message"));
	engine_done(&e);
}

/* RFC 2033 4.2: the message is refused, and one of its recipients for another reason. */
static void test_each_recipient_of_lmtp_has_its_reply(void)
{
	struct engine e;

	begin(&e);
	e.settings.lmtp = true;
	e.memory.refuses_of = 1;
	e.memory.refuses = HOOK_COMMIT;
	engine_send(&e,
		SPAN("LHLO x\r\n" ENVELOPE "RCPT TO:<c@example.net>\r\nDATA\r\n.\r\n"));
	CHECK(tells(&e, " outcome=\"refused\" "));
	CHECK(tells(&e, " to=\"<c@example.net>\" recipients=\"1\" refused=\"1\" "
			"refused_to=\"<b@example.net>\" refused_replies=\"452 4.3.1 "
			"Insufficient storage; try later\" "));
	CHECK(tells(&e, " reason=\"451 4.3.0 "));
	engine_done(&e);
}

static void test_a_failure_of_ours_is_a_problem(void)
{
	struct engine e;

	begin(&e);
	e.memory.refuses = HOOK_COMMIT;
	engine_send(&e, SPAN("HELO x\r\n" ENVELOPE "DATA\r\n.\r\n"));
	CHECK(tells(&e, "message! id=\"1796116087.M000042P7Q1\" outcome=\"refused\" "));
	CHECK(tells(
		&e, "reason=\"451 4.3.0 The message could not be stored; try later\""));
	engine_done(&e);
}

static void test_a_report_that_failed_is_a_problem(void)
{
	struct engine e;

	begin(&e);
	engine_send(&e, SPAN("HELO x\r\n" ENVELOPE));
	e.session.tx.report = "1.host,S=7";
	engine_send(&e, SPAN("DATA\r\n.\r\n" ENVELOPE));
	CHECK(tells(&e, "message id=\"1796116087.M000042P7Q1\" outcome=\"delivered\" "));
	CHECK(tells(&e, " report=\"1.host,S=7\" "));
	CHECK(!tells(&e, "report_fault"));
	e.session.tx.report_fault = "No \"space\" left";
	engine_send(&e, SPAN("DATA\r\n.\r\n"));
	CHECK(tells(&e, "message! id=\"1796116087.M000042P7Q2\" outcome=\"delivered\" "));
	CHECK(tells(&e, " report_fault=\"No \\x22space\\x22 left\" "));
	CHECK(!e.bad_record);
	engine_done(&e);
}

/* For a message that was delivered to others; one without any delivery is refused for all. */
static void test_who_is_left_out_is_no_recipient(void)
{
	struct engine e;

	begin(&e);
	e.settings.lmtp = true;
	e.memory.refuses_of = 1;
	engine_send(&e, SPAN("LHLO x\r\n" ENVELOPE "RCPT TO:<c@example.net>\r\n"
			     "RCPT TO:<x@other.example>\r\nDATA\r\n.\r\n"));
	CHECK(tells(&e, "message! id=\"1796116087.M000042P7Q1\" outcome=\"delivered\" "));
	CHECK(tells(&e, " to=\"<c@example.net>\" recipients=\"1\" refused=\"2\" "));
	CHECK(tells(&e, " reason=\"452 4.3.1 Insufficient storage; try later\" "));
	captured_empty(&e.records);
	e.memory.refuses_of = 3;
	engine_send(&e, SPAN(ENVELOPE "RCPT TO:<c@example.net>\r\nDATA\r\n.\r\n"));
	CHECK(tells(&e, "message! id=\"1796116087.M000042P7Q2\" outcome=\"refused\" "));
	CHECK(tells(&e, " to=\"<b@example.net>,<c@example.net>\" recipients=\"2\" "
			"reason=\"452 "));
	engine_done(&e);
}

/* Also if the list of recipients is cut. */
static void test_who_is_left_out_takes_no_room_in_the_list(void)
{
	struct engine e;

	begin(&e);
	e.settings.lmtp = true;
	e.settings.recipient_limit = 1000;
	e.memory.refuses_of = ~(1U << 31);
	engine_send(&e, SPAN("LHLO x\r\nMAIL FROM:<a@example.org>\r\n"));
	for (size_t i = 0; i < 992; i++) {
		char command[64];
		int n = snprintf(
			command, sizeof(command), "RCPT TO:<u%zu@example.net>\r\n", i);
		engine_send(&e, (struct span){ command, (size_t)n });
	}
	engine_send(&e, SPAN("DATA\r\n.\r\n"));
	CHECK(tells(&e, " to=\"<u31@example.net>,<u63@example.net>,"));
	CHECK(tells(&e, ",<u991@example.net>\" recipients=\"31\" refused=\"961\" "));
	engine_done(&e);
}

static void test_leniences_are_told(void)
{
	static const char *const inputs[] = {
		"HELO x\n",
		"HELO x\r\nMAIL FROM: <a@example.org>\r\n",
		"HELO x\r\nMAIL FROM:a@example.org\r\n",
		"HELO x\r\nMAIL FROM:<>\r\nRCPT TO: <b@example.net>\r\n",
		"HELO x\r\n" ENVELOPE "DATA\r\na\nb\r\n.\r\n",
		"HELO x\r\n" ENVELOPE "DATA\r\na\rb\r\n.\r\n",
		"HELO x \r\n",
		"HELO \xdc\r\n",
		"HELO x\r\nMAIL FROM <a@example.org>\r\n",
		"HELO x\r\nMAIL FROM:<a..b@example.org>\r\n",
		"HELO x\r\nMAIL FROM:<a@example.org.>\r\n",
		"HELO x\r\nMAIL FROM:<>\r\nRCPT TO <b@example.net>\r\n",
		"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net.>\r\n",
	};

	for (size_t i = 0; i < TEST_COUNT(inputs); i++) {
		struct engine e;
		begin(&e);
		engine_send(&e, span_of(inputs[i]));
		engine_stop(&e, END_EOF);
		if (!CHECK(tells(&e, "lenient=\"yes\"")))
			fprintf(stderr, "\t%s", inputs[i]);
		engine_done(&e);
	}
}

/* Each as sender, recipient, name of the client, Message-ID. */
static void test_nothing_hostile_leaves_its_field(void)
{
	static const char *const inputs[] = {
		"HELO x\" evil=\"1\r\nQUIT\r\n",
		"HELO \\\r\nQUIT\r\n",
		"HELO %s%n\r\nQUIT\r\n",
		"HELO x\r\nMAIL FROM:<\"a\\\" evil=\\\"1\"@example.org>\r\n",
		"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<\"a\\\\\\\"b>,<c\"@example.net>\r\n",
		"HELO x\r\n" ENVELOPE
		"DATA\r\nMessage-ID: <\"\\\x01\x7f\xff\x1b[2J>\r\n\r\n.\r\n",
	};

	for (size_t i = 0; i < TEST_COUNT(inputs); i++) {
		struct engine e;
		struct span all;
		begin(&e);
		engine_send(&e, span_of(inputs[i]));
		engine_stop(&e, END_EOF);
		all = captured_span(&e.records);
		CHECK(!e.bad_record && !tells(&e, " evil=\"") && !tells(&e, "\\\""));
		for (size_t j = 0; j < all.n; j++)
			CHECK((all.p[j] >= 32 && all.p[j] < 127) || all.p[j] == '\n');
		engine_done(&e);
	}
}

/* All lists full, of the longest names that there are. */
static void fill_terms(struct tls_terms *terms)
{
	struct tls_list *lists[] = { &terms->versions, &terms->suites, &terms->groups,
		&terms->signatures };

	for (size_t i = 0; i < TEST_COUNT(lists); i++) {
		lists[i]->n = TLS_LIST_MAX;
		lists[i]->cut = true;
		for (size_t j = 0; j < TLS_LIST_MAX; j++)
			lists[i]->codes[j] = lists[i] == &terms->suites     ? 0xcca9
					     : lists[i] == &terms->groups   ? 0x6399
					     : lists[i] == &terms->versions ? 0x0303
									    : 0x0403;
	}
	memset(terms->alpn, 'x', sizeof(terms->alpn) - 1);
}

static void long_failure(struct tls_failure *f)
{
	memset(f, 0, sizeof(*f));
	f->alert = 51;
	f->alert_sent = true;
	f->opening.kind = TLS_OPENING_HELLO;
	fill_terms(&f->opening.offered);
	fill_terms(&f->allowed);
	f->certificate.keys = TLS_KEY_ANY;
	memset(f->opening.name, '\\', sizeof(f->opening.name) - 1);
	memset(f->error, '\\', sizeof(f->error) - 1);
}

/* The longest values of all kinds at once: none is lost. */
static void test_the_longest_values_are_all_told(void)
{
	char local[512], command[1024];
	struct tls_failure failure;
	struct engine e;
	int n;

	memset(local, '"', sizeof(local) - 1);
	local[sizeof(local) - 1] = '\0';
	begin(&e);
	memset(&e.session.tls, '\\', sizeof(e.session.tls));
	e.session.tls.version[FACT_MAX - 1] = e.session.tls.cipher[FACT_MAX - 1] = '\0';
	e.session.tls.group[FACT_MAX - 1] = e.session.tls.alpn[FACT_MAX - 1] = '\0';
	e.session.tls.sni[FACT_NAME_MAX - 1] = '\0';
	long_failure(&failure);
	e.session.tls.resumed = true;
	session_tls_fault(&e.session, local);
	n = snprintf(command, sizeof(command), "HELO %.500s\r\nMAIL FROM:<>\r\n", local);
	engine_send(&e, (struct span){ command, (size_t)n });
	for (size_t i = 0; i < 100; i++) {
		n = snprintf(command, sizeof(command),
			"RCPT TO:<\"%0200zu\"@example.net>\r\n", i);
		engine_send(&e, (struct span){ command, (size_t)n });
	}
	for (size_t i = 0; i < 11; i++) {
		n = snprintf(command, sizeof(command),
			"RCPT TO:<\"%0200zu\"@other.example> %012zu%s\r\n", i, i,
			"||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||");
		engine_send(&e, (struct span){ command, (size_t)n });
	}
	engine_send(&e, SPAN("DATA\r\nMessage-ID: "));
	engine_send(&e, (struct span){ local, sizeof(local) - 1 });
	engine_send(&e, SPAN("\r\n\r\n.\r\n"));
	CHECK(tells(&e, "message_id=") && tells(&e, ",...\" recipients=\"100\""));
	CHECK(tells(&e, "@other.example>,...\" refused_replies=\"501 "));
	CHECK(tells(&e, " duration_ms=\"0\"\n"));
	session_tls_lost(&e.session, END_BROKEN, &failure, &e.now);
	CHECK(tells(&e, "session") && tells(&e, "tls_fault=") && tells(&e, "sni="));
	CHECK(tells(&e, "explanation=") && tells(&e, "tls_error=") &&
		tells(&e, "tls_alert=") && tells(&e, "tls_offered=") &&
		tells(&e, "tls_allowed="));
	CHECK(span_ends(captured_span(&e.records), SPAN(" duration_ms=\"0\"\n")));
	CHECK(!e.bad_record);
	engine_done(&e);
}

/* The offer of the client is kept for the record of a failed handshake. */
static void test_a_failed_handshake_tells_what_was_offered(void)
{
	static const struct tls_failure failure = {
		.how = TLS_END_REFUSED,
		.alert = TLS_ALERT_PROTOCOL_VERSION,
		.alert_sent = true,
		.opening = { .kind = TLS_OPENING_HELLO,
			.or_older = true,
			.offered.versions = { { TLS_VERSION_1_0 }, 1, false },
			.offered.suites = { { 0x002f }, 1, false },
			.alert = TLS_NO_ALERT,
			.name = "mail.example" },
		.allowed.versions = { { TLS_VERSION_1_3, TLS_VERSION_1_2 }, 2, false },
		.allowed.suites = { { 0x1301, 0xc02b, 0xc02f }, 3, false },
		.certificate.keys = TLS_KEY_RSA,
		.error = "No supported cipher suites have been found.",
	};
	struct engine e;

	begin(&e);
	e.now.milliseconds += 70;
	session_tls_failed(&e.session, &failure, &e.now);
	CHECK(tells(&e, "session! end=\"tls-failed\" "
			"status=\"SSL Error (SMTP Receive)\" "
			"explanation=\"client offers only TLS 1.0; this host requires "
			"TLS 1.2 (tls-priority)\" "));
	CHECK(tells(&e, " sni=\"mail.example\""));
	CHECK(tells(&e, " tls_error=\"No supported cipher suites have been found.\""));
	CHECK(tells(&e, " tls_alert=\"sent protocol_version\""));
	CHECK(tells(&e, " tls_offered=\"versions TLS1.0; suites "
			"TLS_RSA_WITH_AES_128_CBC_SHA\""));
	CHECK(tells(&e, " tls_allowed=\"versions TLS1.3 TLS1.2; suites "
			"TLS_AES_128_GCM_SHA256 "
			"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\""));
	CHECK(tells(&e, "duration_ms=\"70\""));
	engine_done(&e);
}

/* The record of a client that closes has the same values; without terms there is no list. */
static void test_a_failure_without_a_hello_tells_no_terms(void)
{
	static const struct tls_failure failure = {
		.how = TLS_END_ALERT,
		.alert = 40,
		.opening = { .kind = TLS_OPENING_OTHER, .alert = 40 },
		.allowed.versions = { { TLS_VERSION_1_3, TLS_VERSION_1_2 }, 2, false },
	};
	struct engine e;

	begin(&e);
	session_tls_failed(&e.session, &failure, &e.now);
	CHECK(tells(&e, " tls_alert=\"received handshake_failure\""));
	CHECK(!tells(&e, "tls_offered") && !tells(&e, "tls_allowed"));
	CHECK(!tells(&e, "tls_error") && !tells(&e, "sni="));
	engine_done(&e);
}

static void test_every_end_has_a_word(void)
{
	for (enum session_end i = END_QUIT; i <= END_MISCONFIGURED; i++) {
		CHECK(session_end_word(i) && session_end_word(i)[0]);
		for (enum session_end j = END_QUIT; j < i; j++)
			CHECK(strcmp(session_end_word(i), session_end_word(j)) != 0);
	}
}

static void test_every_level_has_a_word(void)
{
	CHECK_SPAN(span_of(record_level_word(RECORD_LEVEL_ERROR)), "error");
	CHECK_SPAN(span_of(record_level_word(RECORD_LEVEL_WARNING)), "warning");
	CHECK_SPAN(span_of(record_level_word(RECORD_LEVEL_INFO)), "info");
	CHECK_SPAN(span_of(record_level_word(RECORD_LEVEL_DEBUG)), "debug");
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_tells_of_a_message),
		TEST(test_tells_of_a_session_without_a_word),
		TEST(test_tells_of_a_transaction_given_up),
		TEST(test_tells_the_first_ten_of_those_that_were_refused),
		TEST(test_each_refused_recipient_has_its_reply),
		TEST(test_a_refusal_of_the_content_leaves_theirs_to_the_recipients),
		TEST(test_each_recipient_of_lmtp_has_its_reply),
		TEST(test_a_failure_of_ours_is_a_problem),
		TEST(test_who_is_left_out_is_no_recipient),
		TEST(test_who_is_left_out_takes_no_room_in_the_list),
		TEST(test_a_report_that_failed_is_a_problem),
		TEST(test_leniences_are_told),
		TEST(test_nothing_hostile_leaves_its_field),
		TEST(test_the_longest_values_are_all_told),
		TEST(test_a_failed_handshake_tells_what_was_offered),
		TEST(test_a_failure_without_a_hello_tells_no_terms),
		TEST(test_every_end_has_a_word),
		TEST(test_every_level_has_a_word),
	};

	return test_main(tests, TEST_COUNT(tests));
}
