/* SPDX-License-Identifier: ISC */
/* proto/data: the values that the engine reads from a header, in any pieces (RFC 5322 2.2). */
#include "proto/data.h"
#include "unit/test.h"

struct seen {
	struct span text;
	size_t n_received;
	const char *message_id;
	bool done;
};

static const struct seen table[] = {
	{ .text = { "Subject: x\n\n", 12 }, .message_id = "", .done = true },
	{ .text = { "\nReceived: x\n", 13 }, .message_id = "", .done = true },
	{ .text = { "Received: a\nRECEIVED: b\nreceived:\n c\n", 38 },
		.n_received = 3,
		.message_id = "" },
	/* neither folded lines, nor other fields, nor the body are hops */
	{ .text = { "Received: a\n Received: b\n\tReceived: c\n", 39 },
		.n_received = 1,
		.message_id = "" },
	{ .text = { "X-Received: a\nReceived-SPF: b\nReceive: c\nReceiveds: d\n", 55 },
		.message_id = "" },
	{ .text = { "A: b\n\nReceived: c\nMessage-ID: <a@b>\n", 36 },
		.message_id = "",
		.done = true },
	{ .text = { "Message-ID: <a@b>\n", 18 }, .message_id = "<a@b>" },
	{ .text = { "message-id:<a@b>\n", 17 }, .message_id = "<a@b>" },
	{ .text = { "MESSAGE-ID:\t <a@b> \n\n", 21 },
		.message_id = "<a@b>",
		.done = true },
	{ .text = { "Message-ID:\n <a@b>\nX: y\n", 24 }, .message_id = "<a@b>" },
	{ .text = { "Message-ID: \n\t\n <a@b>\nX: y\n", 27 }, .message_id = "<a@b>" },
	{ .text = { "Message-ID:\nSubject: <a@b>\n", 27 }, .message_id = "" },
	/* the first one counts */
	{ .text = { "Message-ID: <a@b>\nMessage-ID: <c@d>\n", 36 },
		.message_id = "<a@b>" },
	{ .text = { "Message-ID: <a@b>\n <c@d>\n", 25 }, .message_id = "<a@b>" },
	{ .text = { "Message-IDs: <a@b>\nX-Message-ID: <c@d>\n", 39 }, .message_id = "" },
	{ .text = { "In-Reply-To: <a@b>\nMessage-Id: <c@d>\n", 37 },
		.message_id = "<c@d>" },
	{ .text = { "no header at all\n", 17 }, .message_id = "" },
	{ .text = { "", 0 }, .message_id = "" },
	/* a line of blanks continues the field, and does not end the header */
	{ .text = { "A: b\n \nReceived: c\n", 19 }, .n_received = 1, .message_id = "" },
};

static void check(const struct seen *want, size_t split)
{
	struct header h = { 0 };

	header_watch(&h, (struct span){ want->text.p, split });
	header_watch(&h, span_from(want->text, split));
	CHECK(h.done == want->done);
	CHECK(h.n_received == want->n_received);
	CHECK_SPAN(((struct span){ h.message_id, h.n_message_id }), want->message_id);
}

static void test_sees_the_same_in_every_two_pieces(void)
{
	for (size_t i = 0; i < TEST_COUNT(table); i++)
		for (size_t split = 0; split <= table[i].text.n; split++)
			check(&table[i], split);
}

static void test_sees_the_same_octet_by_octet(void)
{
	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct header h = { 0 };
		for (size_t j = 0; j < table[i].text.n; j++)
			header_watch(&h, (struct span){ table[i].text.p + j, 1 });
		CHECK(h.done == table[i].done);
		CHECK(h.n_received == table[i].n_received);
		CHECK(h.n_message_id == strlen(table[i].message_id));
	}
}

static void test_memory_is_flat(void)
{
	struct header h = { 0 };
	char line[1000];

	memset(line, 'x', sizeof(line));
	for (size_t i = 0; i < 1000; i++)
		header_watch(&h, (struct span){ line, sizeof(line) });
	header_watch(&h, SPAN("\nMessage-ID: "));
	for (size_t i = 0; i < 1000; i++)
		header_watch(&h, (struct span){ line, sizeof(line) });
	header_watch(&h, SPAN("\n"));
	CHECK(h.n_message_id == MESSAGE_ID_MAX);
	for (size_t i = 0; i < 100000; i++)
		header_watch(&h, SPAN("Received: x\n"));
	CHECK(h.n_received == 100000);
	CHECK(!h.done);
}

/*
 * Loops must be detected even if a hop changes its fields: the obsolete syntax has blanks before the colon (RFC 5322
 * 4.5.7).
 */
static void test_counts_hops_in_obsolete_syntax(void)
{
	struct header h = { 0 };

	header_watch(&h, SPAN("Received : a\nReceived\t: b\n"));
	CHECK(h.n_received == 2);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_sees_the_same_in_every_two_pieces),
		TEST(test_sees_the_same_octet_by_octet),
		TEST(test_memory_is_flat),
		TEST(test_counts_hops_in_obsolete_syntax),
	};

	return test_main(tests, TEST_COUNT(tests));
}
