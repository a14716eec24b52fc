/* SPDX-License-Identifier: ISC */
/* smtp/session: the current state of a session, in one harmless line. */
#include "smtp/ending.h"
#include "unit/engine.h"
#include "unit/test.h"

struct state {
	const char *input;
	const char *said;
};

static void test_each_state_has_a_line(void)
{
	static const struct state table[] = {
		{ "", "Connected: 192.0.2.1" },
		{ "EHLO client.example.org\r\n",
			"Connected: 192.0.2.1 (client.example.org)" },
		{ "HELO \"\\%n\r\n", "Connected: 192.0.2.1 (\\x22\\x5C%n)" },
		{ "HELO x\r\nMAIL FROM:<>\r\n", "In a transaction: 192.0.2.1 (x)" },
		{ "HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n",
			"Receiving a message: 192.0.2.1 (x)" },
		{ "HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nBDAT 9\r\n",
			"Receiving a message: 192.0.2.1 (x)" },
		{ "HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nBDAT 2\r\nab",
			"Receiving a message: 192.0.2.1 (x)" },
		{ "HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n.\r\n",
			"Connected: 192.0.2.1 (x), 1 message delivered" },
		{ "HELO x\r\nQUIT\r\n", "Ended: 192.0.2.1 (x)" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		char octets[SESSION_STATE_MAX];
		struct buf b = BUF(octets);
		engine_init(&e);
		engine_start(&e);
		engine_send(&e, span_of(table[i].input));
		session_put_state(&e.session, &b);
		CHECK_SPAN(buf_span(&b), table[i].said);
		engine_done(&e);
	}
}

static void test_an_exchange_is_told(void)
{
	static const struct tls_facts facts = { .version = "TLS1.3" };
	struct engine e;
	char octets[SESSION_STATE_MAX];
	struct buf b = BUF(octets);

	engine_init(&e);
	e.settings.auth = AUTH_ON;
	engine_start(&e);
	session_secured(&e.session, &facts);
	engine_send(&e, SPAN("EHLO x\r\nAUTH LOGIN\r\n"));
	session_put_state(&e.session, &b);
	CHECK_SPAN(buf_span(&b), "Logging in: 192.0.2.1 (x), TLS1.3");
	engine_done(&e);
}

static void test_tls_and_its_failure_are_told(void)
{
	static const struct tls_facts facts = { .version = "TLS1.3" };
	static const struct tls_failure failure = { .how = TLS_END_CLOSED };
	struct engine e;
	char octets[SESSION_STATE_MAX];
	struct buf b = BUF(octets);

	engine_init(&e);
	engine_start(&e);
	session_secured(&e.session, &facts);
	session_put_state(&e.session, &b);
	CHECK_SPAN(buf_span(&b), "Connected: 192.0.2.1, TLS1.3");
	engine_done(&e);
	engine_init(&e);
	engine_start(&e);
	session_tls_failed(&e.session, &failure, &e.now);
	b.n = 0;
	session_put_state(&e.session, &b);
	CHECK_SPAN(buf_span(&b), "SSL Error (SMTP Receive): 192.0.2.1");
	engine_done(&e);
}

static void test_a_client_without_an_address_is_unknown(void)
{
	struct engine e;
	char octets[SESSION_STATE_MAX];
	struct buf b = BUF(octets);

	engine_init(&e);
	engine_start(&e);
	e.session.peer.address[0] = '\0';
	session_put_state(&e.session, &b);
	CHECK_SPAN(buf_span(&b), "Connected: unknown");
	engine_done(&e);
}

static void test_the_longest_line_fits(void)
{
	struct engine e;
	char octets[SESSION_STATE_MAX];
	struct buf b = BUF(octets);

	engine_init(&e);
	engine_start(&e);
	memset(e.session.peer.address, '9', sizeof(e.session.peer.address) - 1);
	memset(e.session.helo, '\\', sizeof(e.session.helo) - 1);
	memset(e.session.tls.version, '9', sizeof(e.session.tls.version) - 1);
	e.session.secured = true;
	e.session.n_messages = SIZE_MAX;
	session_put_state(&e.session, &b);
	CHECK(!b.overflow);
	engine_done(&e);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_each_state_has_a_line),
		TEST(test_an_exchange_is_told),
		TEST(test_tls_and_its_failure_are_told),
		TEST(test_a_client_without_an_address_is_unknown),
		TEST(test_the_longest_line_fits),
	};

	return test_main(tests, TEST_COUNT(tests));
}
