/* SPDX-License-Identifier: ISC */
/* smtp/names: addresses that are not ASCII (RFC 6531 3.3, 3.4, 3.5), and their form for stages. */
#include "unit/engine.h"
#include "unit/test.h"

#define EHLO "EHLO client.example.org\r\n"
#define MAIL "MAIL FROM:<a@example.org> SMTPUTF8\r\n"

static const char *const domains[] = { "example.net", "xn--bcher-kva.example" };

static void begin(struct engine *e, const char *input)
{
	engine_init(e);
	e->settings.domains = domains;
	e->settings.n_domains = TEST_COUNT(domains);
	engine_start(e);
	engine_send(e, span_of(input));
	captured_empty(&e->out);
}

struct form {
	const char *written, *local, *domain;
};

/* The mailbox is not changed: trace header and records have it as the client sent it. */
static void test_stages_see_one_form(void)
{
	static const struct form table[] = {
		{ "user@bücher.example", "user", "xn--bcher-kva.example" },
		{ "user@BÜCHER.Example", "user", "xn--bcher-kva.example" },
		{ "user@bu\xcc\x88"
		  "cher.example",
			"user", "xn--bcher-kva.example" },
		{ "User@bücher.example", "User", "xn--bcher-kva.example" },
		{ "JOSÉ@example.net", "\"josé\"", "example.net" },
		{ "jose\xcc\x81@Example.NET", "\"josé\"", "Example.NET" },
		{ "\"J O \\\"S\\É\"@example.net", NULL, NULL },
		{ "\"J O \\\"SÉ\"@example.net", "\"j o \\\"sé\"", "example.net" },
		{ "\"\\a\\\\É\"@bücher.example", "\"a\\\\é\"", "xn--bcher-kva.example" },
		{ "\"\\a\"@bücher.example", "\"\\a\"", "xn--bcher-kva.example" },
		{ "user@example.net", "user", "example.net" },
		{ "user@XN--Bcher-KVA.example", "user", "XN--Bcher-KVA.example" },
		{ "Postmaster", "Postmaster", "" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		const struct recipient *r;
		begin(&e, EHLO MAIL "RCPT TO:<");
		engine_send(&e, span_of(table[i].written));
		engine_send(&e, SPAN(">\r\n"));
		CHECK(e.session.tx.n_recipients == (table[i].local != NULL));
		r = e.session.tx.recipients;
		if (e.session.tx.n_recipients) {
			CHECK_SPAN(r->mailbox, table[i].written);
			CHECK_SPAN(r->local, table[i].local);
			CHECK_SPAN(r->domain, table[i].domain);
		}
		engine_done(&e);
	}
}

struct answered {
	const char *before, *command, *said;
};

#define OK_SENDER "250 2.1.0 Sender OK\r\n"
#define OK_RECIPIENT "250 2.1.5 Recipient OK\r\n"
#define NEEDS_SMTPUTF8 "553 5.6.7 Address is not ASCII, and MAIL had no SMTPUTF8\r\n"
#define NO_SENDER "501 5.1.7 Not an address: MAIL FROM:<address>\r\n"
#define NO_RECIPIENT "501 5.1.3 Not an address: RCPT TO:<address>\r\n"

static void test_each_address_is_answered_by_the_rules(void)
{
	static const struct answered table[] = {
		{ EHLO, "MAIL FROM:<josé@example.org> SMTPUTF8", OK_SENDER },
		{ EHLO, "MAIL FROM:<josé@example.org> smtputf8 BODY=8BITMIME",
			OK_SENDER },
		{ EHLO, "MAIL FROM:<a@bücher.example> SMTPUTF8", OK_SENDER },
		{ EHLO, "MAIL FROM:<a@example.org> SMTPUTF8", OK_SENDER },
		{ EHLO, "MAIL FROM:<> SMTPUTF8", OK_SENDER },
		{ EHLO, "MAIL FROM:<josé@example.org>", NEEDS_SMTPUTF8 },
		{ EHLO, "MAIL FROM:<a@bücher.example> SIZE=1", NEEDS_SMTPUTF8 },
		{ EHLO, "MAIL FROM:<@é:a@example.org>", NEEDS_SMTPUTF8 },
		/* a malformed address is refused even with the parameter */
		{ EHLO, "MAIL FROM:<jos\xe9@example.org> SMTPUTF8", NO_SENDER },
		{ EHLO, "MAIL FROM:<jos\xe9@example.org>", NO_SENDER },
		{ EHLO, "MAIL FROM:<jos\xc2\x85@example.org> SMTPUTF8", NO_SENDER },
		{ EHLO, "MAIL FROM:<a@☃.example> SMTPUTF8",
			"553 5.1.8 Sender's domain is no internationalized domain "
			"name\r\n" },
		{ EHLO, "MAIL FROM:<josé@example.org> SMTPUTF8=yes",
			"501 5.5.4 Parameter not understood: SMTPUTF8\r\n" },
		{ EHLO, "MAIL FROM:<josé@example.org> SMTPUTF8 SMTPUTF8",
			"501 5.5.4 Parameter given twice: SMTPUTF8\r\n" },
		/* parameters that have no such values */
		{ EHLO, "MAIL FROM:<> SMTPUTF8 SIZE=é",
			"501 5.5.4 Parameter not understood: SIZE\r\n" },
		{ EHLO, "MAIL FROM:<> SMTPUTF8 BODY=é",
			"501 5.5.4 Parameter not understood: BODY\r\n" },
		{ EHLO, "MAIL FROM:<> SMTPUTF8=é",
			"501 5.5.4 Parameter not understood: SMTPUTF8\r\n" },
		{ EHLO, "MAIL FROM:<> SMTPUTF8 X=é",
			"501 5.5.4 Parameter not understood: X\r\n" },
		{ EHLO MAIL, "RCPT TO:<b@example.net> X=é",
			"501 5.5.4 Parameter not understood: X\r\n" },
		{ EHLO MAIL, "RCPT TO:<b@example.net> SMTPUTF8",
			"555 5.5.4 Parameter unknown: SMTPUTF8\r\n" },
		/* HELO offers nothing */
		{ "HELO x\r\n", "MAIL FROM:<josé@example.org> SMTPUTF8",
			"555 5.5.4 Parameter unknown: SMTPUTF8\r\n" },
		{ "HELO x\r\n", "MAIL FROM:<josé@example.org>", NEEDS_SMTPUTF8 },
		{ EHLO MAIL, "RCPT TO:<josé@example.net>", OK_RECIPIENT },
		{ EHLO MAIL, "RCPT TO:<a@bücher.example>", OK_RECIPIENT },
		{ EHLO MAIL, "RCPT TO:<a@example.net>", OK_RECIPIENT },
		{ EHLO "MAIL FROM:<>\r\n", "RCPT TO:<josé@example.net>", NEEDS_SMTPUTF8 },
		{ EHLO "MAIL FROM:<>\r\n", "RCPT TO:<a@bücher.example>", NEEDS_SMTPUTF8 },
		{ EHLO MAIL "RSET\r\nMAIL FROM:<>\r\n", "RCPT TO:<é@example.net>",
			NEEDS_SMTPUTF8 },
		{ EHLO MAIL, "RCPT TO:<jos\xe9@example.net>", NO_RECIPIENT },
		{ EHLO MAIL, "RCPT TO:<é>", NO_RECIPIENT },
		{ EHLO MAIL, "RCPT TO:<a@straße.example>",
			"550 5.7.1 No mail is accepted here for that domain\r\n" },
		{ EHLO MAIL, "RCPT TO:<a@☃.example>",
			"553 5.1.2 Recipient's domain is no internationalized domain "
			"name\r\n" },
		/* RFC 6531 3.7.4.2: a reply without a mailbox needs no UTF-8 */
		{ EHLO, "VRFY josé SMTPUTF8", "252 2.5.0 Not verified; try RCPT\r\n" },
		{ EHLO, "VRFY josé", "252 2.5.0 Not verified; try RCPT\r\n" },
		{ EHLO, "VRFY jos\xe9", "252 2.5.0 Not verified; try RCPT\r\n" },
		{ EHLO, "EXPN josé SMTPUTF8", "502 5.5.1 Command not implemented\r\n" },
		/* RFC 6531 3.7.1 has A-labels there; hosts send what their name is */
		{ "", "HELO bücher.example", "250 mail.example.net\r\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		begin(&e, table[i].before);
		engine_send(&e, span_of(table[i].command));
		engine_send(&e, SPAN("\r\n"));
		if (!CHECK_SPAN(captured_span(&e.out), table[i].said))
			fprintf(stderr, "\tto: %s\n", table[i].command);
		engine_done(&e);
	}
}

/* A conversion may load a library, so none is requested for ASCII, and no more than necessary. */
static void test_nobody_asks_for_nothing(void)
{
	static const struct {
		const char *input;
		size_t n;
	} table[] = {
		{ EHLO MAIL "RCPT TO:<b@example.net>\r\n", 0 },
		{ EHLO MAIL "RCPT TO:<b@xn--bcher-kva.example>\r\n", 0 },
		{ EHLO MAIL "RCPT TO:<b@xn--other.example>\r\n", 0 },
		{ EHLO "MAIL FROM:<josé@example.org> SMTPUTF8\r\n", 0 },
		{ EHLO "MAIL FROM:<josé@bücher.example>\r\n", 0 },
		{ EHLO "MAIL FROM:<josé@bücher.example> SMTPUTF8\r\n", 1 },
		{ EHLO MAIL "RCPT TO:<josé@example.net>\r\n", 1 },
		{ EHLO MAIL "RCPT TO:<user@bücher.example>\r\n", 1 },
		{ EHLO MAIL "RCPT TO:<josé@bücher.example>\r\n", 2 },
		{ EHLO "MAIL FROM:<>\r\nRCPT TO:<josé@bücher.example>\r\n", 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		begin(&e, table[i].input);
		if (!CHECK(e.names.n_asked == table[i].n))
			fprintf(stderr, "\tfor: %s", table[i].input);
		engine_done(&e);
	}
}

static void test_without_an_answer_mail_waits(void)
{
	struct engine e;

	begin(&e, EHLO);
	e.names.unavailable = true;
	engine_send(
		&e, SPAN("MAIL FROM:<josé@bücher.example> SMTPUTF8\r\n" MAIL
			 "RCPT TO:<josé@example.net>\r\nRCPT TO:<a@bücher.example>\r\n"
			 "RCPT TO:<b@example.net>\r\nDATA\r\n.\r\n"));
	CHECK_SPAN(captured_span(&e.out),
		"451 4.3.0 No internationalized addresses for now; try later\r\n"
		"250 2.1.0 Sender OK\r\n"
		"451 4.3.0 No internationalized addresses for now; try later\r\n"
		"451 4.3.0 No internationalized addresses for now; try later\r\n"
		"250 2.1.5 Recipient OK\r\n"
		"354 End data with <CR><LF>.<CR><LF>\r\n"
		"250 2.6.0 Delivered as 1796116087.M000042P7Q2\r\n");
	CHECK(e.memory.n_stored == 1);
	engine_done(&e);
}

/* A local part that grows beyond all names of files. */
static enum names_result grow(struct names *names, struct span local, struct buf *to)
{
	(void)names, (void)local;
	for (size_t i = 0; i <= NAMES_LOCAL_MAX; i++)
		buf_put_char(to, '"');
	return NAMES_FINE;
}

static void test_what_does_not_fit_is_no_mailbox(void)
{
	struct engine e;

	begin(&e, EHLO MAIL);
	e.names.names.local = grow;
	engine_send(&e, SPAN("RCPT TO:<josé@example.net>\r\n"));
	CHECK_SPAN(captured_span(&e.out),
		"553 5.1.3 Not a valid name of a mailbox here\r\n");
	engine_done(&e);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_stages_see_one_form),
		TEST(test_each_address_is_answered_by_the_rules),
		TEST(test_nobody_asks_for_nothing),
		TEST(test_without_an_answer_mail_waits),
		TEST(test_what_does_not_fit_is_no_mailbox),
	};

	return test_main(tests, TEST_COUNT(tests));
}
