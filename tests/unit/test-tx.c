/* SPDX-License-Identifier: ISC */
/* smtp/tx: a transaction owns its copies, and tx_clear() frees all of them. */
#include "smtp/tx.h"
#include "unit/test.h"

static const struct mail_params no_params;
static const struct rcpt_params no_rcpt;

static struct path path_of(const char *local, const char *text)
{
	return (struct path){
		.text = span_of(text),
		.local = { text, strlen(local) },
		.domain = span_from(span_of(text), strlen(local) + 1),
	};
}

static bool is_all_zero(const void *p, size_t n)
{
	const char *c = p;

	for (size_t i = 0; i < n; i++)
		if (c[i])
			return false;
	return true;
}

static void test_copies_what_it_is_given(void)
{
	char text[] = "user@example.org";
	struct path path = path_of("user", text);
	struct mail_params params = {
		.has_size = true, .size = 7, .body = BODY_8BITMIME
	};
	struct recipient *r;
	struct tx tx = { 0 };

	CHECK(tx_open(&tx, &path, &params) == 0 && tx.open);
	CHECK(tx_add_recipient(&tx, &path, &no_rcpt, &r) == 0);
	memset(text, 'x', sizeof(text));
	CHECK(strcmp(tx.sender, "user@example.org") == 0);
	CHECK(tx.params.has_size && tx.params.size == 7);
	CHECK(tx.params.body == BODY_8BITMIME);
	CHECK_SPAN(r->mailbox, "user@example.org");
	CHECK_SPAN(r->local, "user");
	CHECK_SPAN(r->domain, "example.org");
	CHECK(!r->reply && r->slot == 0);
	tx_clear(&tx);
}

/* RFC 3461: parameters of reports are copied, because their lines do not exist any more. */
static void test_copies_the_parameters_of_reports(void)
{
	char text[] = "user@example.org", line[] = "QQ314159 rfc822;Bob@Example.COM";
	struct path path = path_of("user", text);
	struct mail_params mail = { .envid = { line, 8 } };
	struct rcpt_params rcpt = { .report = true, .orcpt = { line + 9, 22 } };
	struct recipient *r;
	struct tx tx = { 0 };

	CHECK(tx_open(&tx, &path, &mail) == 0);
	CHECK(tx_add_recipient(&tx, &path, &rcpt, &r) == 0);
	memset(text, 'x', sizeof(text));
	memset(line, 'x', sizeof(line));
	CHECK(strcmp(tx.sender, "user@example.org") == 0);
	CHECK_SPAN(tx.params.envid, "QQ314159");
	CHECK_SPAN(r->params.orcpt, "rfc822;Bob@Example.COM");
	CHECK(r->params.report);
	CHECK_SPAN(r->mailbox, "user@example.org");
	CHECK_SPAN(r->local, "user");
	CHECK_SPAN(r->domain, "example.org");
	tx_clear(&tx);
}

static void test_null_sender_and_postmaster(void)
{
	struct path null = { .null = true };
	struct path postmaster = { .text = SPAN("postmaster"),
		.local = SPAN("postmaster") };
	struct recipient *r;
	struct tx tx = { 0 };

	CHECK(tx_open(&tx, &null, &no_params) == 0);
	CHECK(tx.sender && tx.sender[0] == '\0');
	CHECK(tx_add_recipient(&tx, &postmaster, &no_rcpt, &r) == 0);
	CHECK(r->domain.n == 0);
	CHECK_SPAN(r->local, "postmaster");
	tx_clear(&tx);
}

static void test_keeps_a_syntax_error_that_was_forgiven(void)
{
	struct path path = { .text = SPAN("a@b"), .lenient = true };
	struct tx tx = { 0 };

	CHECK(tx_open(&tx, &path, &no_params) == 0 && tx.lenient);
	tx_clear(&tx);
	CHECK(!tx.lenient);
}

static void test_takes_thousands_of_recipients(void)
{
	static const struct path sender = { .null = true };
	struct tx tx = { 0 };

	CHECK(tx_open(&tx, &sender, &no_params) == 0);
	for (size_t i = 0; i < 5000; i++) {
		char text[32];
		struct path path;
		struct recipient *r;
		snprintf(text, sizeof(text), "u%05zu@example.org", i);
		path = path_of("u00000", text);
		REQUIRE(tx_add_recipient(&tx, &path, &no_rcpt, &r) == 0);
		r->slot = i;
	}
	CHECK(tx.n_recipients == 5000);
	for (size_t i = 0; i < 5000; i++) {
		char text[32];
		snprintf(text, sizeof(text), "u%05zu@example.org", i);
		CHECK_SPAN(tx.recipients[i].mailbox, text);
		CHECK_SPAN(tx.recipients[i].domain, "example.org");
		CHECK(tx.recipients[i].local.p == tx.recipients[i].text);
		CHECK(tx.recipients[i].slot == i);
	}
	tx_clear(&tx);
}

static void test_a_renamed_recipient_keeps_its_mailbox(void)
{
	char local[] = "longer-than-before", domain[] = "x";
	struct path path = path_of("User", "User@Example.ORG");
	struct recipient *r;
	struct tx tx = { 0 };

	CHECK(tx_open(&tx, &path, &no_params) == 0);
	CHECK(tx_add_recipient(&tx, &path, &(struct rcpt_params){ 0 }, &r) == 0);
	r->slot = 7;
	CHECK(tx_rename_recipient(r, span_of(local), span_of(domain)) == 0);
	memset(local, 'x', sizeof(local));
	memset(domain, 'y', sizeof(domain));
	CHECK_SPAN(r->mailbox, "User@Example.ORG");
	CHECK_SPAN(r->local, "longer-than-before");
	CHECK_SPAN(r->domain, "x");
	CHECK(r->slot == 7);
	CHECK(tx_rename_recipient(r, SPAN("a"), SPAN("")) == 0);
	CHECK_SPAN(r->mailbox, "User@Example.ORG");
	CHECK_SPAN(r->local, "a");
	CHECK(r->domain.n == 0);
	tx_clear(&tx);
}

static void test_drops_the_last_recipient_alone(void)
{
	struct path a = path_of("a", "a@x"), b = path_of("b", "b@x");
	struct recipient *r;
	struct tx tx = { 0 };

	CHECK(tx_open(&tx, &a, &no_params) == 0);
	CHECK(tx_add_recipient(&tx, &a, &no_rcpt, &r) == 0);
	CHECK(tx_add_recipient(&tx, &b, &no_rcpt, &r) == 0);
	r->reply = reply_get(REPLY_MAILBOX_UNKNOWN);
	tx_drop_recipient(&tx);
	CHECK(tx.n_recipients == 1);
	CHECK_SPAN(tx.recipients[0].mailbox, "a@x");
	CHECK(tx_add_recipient(&tx, &b, &no_rcpt, &r) == 0);
	CHECK(!r->reply);
	CHECK_SPAN(r->mailbox, "b@x");
	tx_clear(&tx);
}

/* a filter has added it, and the client cannot send to it alone once more */
static void test_a_refused_recipient_that_was_added_refuses_the_message(void)
{
	const struct reply *refusal = reply_get(REPLY_STORE_FAILED);
	struct path path = path_of("user", "user@example.org");
	struct recipient *r;
	struct tx tx = { 0 };

	for (size_t i = 0; i < 3; i++)
		CHECK(tx_add_recipient(&tx, &path, &no_rcpt, &r) == 0);
	tx.recipients[0].reply = refusal;
	CHECK(!tx_refusal_of_added(&tx));
	tx.n_added = 2;
	CHECK(!tx_refusal_of_added(&tx));
	tx.recipients[2].reply = refusal;
	CHECK(tx_refusal_of_added(&tx) == refusal);
	tx.recipients[1].reply = reply_get(REPLY_STORE_FULL);
	CHECK(tx_refusal_of_added(&tx) == reply_get(REPLY_STORE_FULL));
	tx_clear(&tx);
}

/* RFC 5321 4.2.5: one reply for all */
static void test_folds_to_the_first_refusal(void)
{
	struct path path = path_of("a", "a@x");
	struct recipient *r;
	struct tx tx = { 0 };

	CHECK(!tx_fold(&tx));
	CHECK(tx_open(&tx, &path, &no_params) == 0);
	for (size_t i = 0; i < 3; i++)
		CHECK(tx_add_recipient(&tx, &path, &no_rcpt, &r) == 0);
	CHECK(!tx_fold(&tx));
	tx.recipients[1].reply = reply_get(REPLY_STORE_FULL);
	tx.recipients[2].reply = reply_get(REPLY_STORE_FAILED);
	CHECK(tx_fold(&tx) == reply_get(REPLY_STORE_FULL));
	tx_clear(&tx);
}

/* RFC 2033 4.2: while one recipient is left, the message is delivered. */
static void test_is_refused_when_every_recipient_is(void)
{
	struct path path = path_of("a", "a@x");
	struct recipient *r;
	struct tx tx = { 0 };

	CHECK(tx_open(&tx, &path, &no_params) == 0);
	for (size_t i = 0; i < 3; i++)
		CHECK(tx_add_recipient(&tx, &path, &(struct rcpt_params){ 0 }, &r) == 0);
	for (size_t i = 3; i > 0; i--) {
		CHECK(!tx_is_refused(&tx));
		tx.recipients[i - 1].reply = reply_get(REPLY_STORE_FULL);
	}
	CHECK(tx_is_refused(&tx));
	tx.recipients[1].reply = NULL;
	CHECK(!tx_is_refused(&tx));
	tx.recipients[1].left_out = true;
	CHECK(tx_is_refused(&tx));
	tx_clear(&tx);
}

/* All of them count; a fault of this host is kept in spite of later refusals. */
static void test_keeps_the_refusal_that_matters(void)
{
	struct tx tx = { 0 };

	tx_note_refusal(&tx, reply_get(REPLY_PARAMETER_UNKNOWN), "555 X");
	CHECK(tx.rcpt_refusal == reply_get(REPLY_PARAMETER_UNKNOWN));
	tx_note_refusal(&tx, reply_get(REPLY_RECIPIENT_MANY), "452");
	CHECK(tx.rcpt_refusal == reply_get(REPLY_RECIPIENT_MANY));
	tx_note_refusal(&tx, reply_get(REPLY_STORE_FAILED), "451 a");
	tx_note_refusal(&tx, reply_get(REPLY_RECIPIENT_MANY), "452");
	tx_note_refusal(&tx, reply_get(REPLY_MAILBOX_UNKNOWN), "550");
	CHECK(tx.rcpt_refusal == reply_get(REPLY_STORE_FAILED));
	CHECK_SPAN(span_of(tx.rcpt_reason), "451 a");
	tx_note_refusal(&tx, reply_get(REPLY_STORE_FULL), "452 b");
	CHECK(tx.rcpt_refusal == reply_get(REPLY_STORE_FULL));
	CHECK_SPAN(span_of(tx.rcpt_reason), "452 b");
	CHECK(tx.n_refused == 6 && tx.n_deferred == 4);
	tx_clear(&tx);
}

/* The reply of a filter may be long. No escape of it is kept in part, and enough to show in a record that it is cut. */
static void test_the_reply_to_a_refused_recipient_is_cut(void)
{
	for (size_t pad = 0; pad < 4; pad++) {
		char said[TX_REFUSAL_MAX + 101] = "550 ";
		struct tx tx = { 0 };
		size_t n;

		for (size_t i = 4 + pad; i < sizeof(said) - 1; i += 4)
			memcpy(said + i, "\\xFF", sizeof(said) - 1 - i < 4 ? 1 : 4);
		memset(said + 4, 'x', pad);
		said[sizeof(said) - 1] = '\0';
		tx_keep_refused(&tx, SPAN("a@x"));
		tx_note_refusal(&tx, reply_get(REPLY_MAILBOX_UNKNOWN), said);
		tx_keep_refused(&tx, SPAN("b@x"));
		tx_note_refusal(&tx, reply_get(REPLY_MAILBOX_UNKNOWN), "550 no");
		REQUIRE(tx.n_refused_kept == 2);
		n = strlen(tx.refused[0]->reply);
		CHECK(n > TX_REFUSAL_MAX && n < sizeof(tx.refused[0]->reply));
		CHECK((n - 4 - pad) % 4 == 0 &&
			memcmp(tx.refused[0]->reply, said, n) == 0);
		CHECK_SPAN(span_of(tx.refused[1]->reply), "550 no");
		tx_clear(&tx);
	}
}

static void test_cleared_it_is_as_new(void)
{
	struct path path = path_of("a", "a@x");
	struct recipient *r;
	struct tx tx;

	memset(&tx, 0, sizeof(tx));
	for (size_t round = 0; round < 3; round++) {
		CHECK(tx_open(&tx, &path, &no_params) == 0);
		CHECK(tx_add_recipient(&tx, &path, &no_rcpt, &r) == 0);
		tx.bare = true;
		tx.octets = tx.n_refused = 1;
		tx.refusal = reply_get(REPLY_HOPS);
		tx_note_refusal(&tx, reply_get(REPLY_STORE_FAILED), "451");
		memset(tx.id, 'x', sizeof(tx.id));
		memset(tx.file, 'x', sizeof(tx.file));
		tx.report = tx.report_fault = "x";
		memset(&tx.header, 1, sizeof(tx.header));
		tx_clear(&tx);
		CHECK(is_all_zero(&tx, sizeof(tx)));
	}
	tx_clear(&tx);
	CHECK(is_all_zero(&tx, sizeof(tx)));
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_copies_what_it_is_given),
		TEST(test_copies_the_parameters_of_reports),
		TEST(test_null_sender_and_postmaster),
		TEST(test_keeps_a_syntax_error_that_was_forgiven),
		TEST(test_takes_thousands_of_recipients),
		TEST(test_a_renamed_recipient_keeps_its_mailbox),
		TEST(test_drops_the_last_recipient_alone),
		TEST(test_a_refused_recipient_that_was_added_refuses_the_message),
		TEST(test_folds_to_the_first_refusal),
		TEST(test_is_refused_when_every_recipient_is),
		TEST(test_keeps_the_refusal_that_matters),
		TEST(test_the_reply_to_a_refused_recipient_is_cut),
		TEST(test_cleared_it_is_as_new),
	};

	return test_main(tests, TEST_COUNT(tests));
}
