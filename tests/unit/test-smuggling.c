/* SPDX-License-Identifier: ISC */
/* smtp/session: only CRLF.CRLF ends a message, and nothing without it is stored (RFC 5321 4.1.1.4). */
#include "unit/content.h"
#include "unit/engine.h"
#include "unit/test.h"

#define SPELLING_MAX 5 /* octets; test-data.c has longer ones, without the commands */

#define ENVELOPE "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"

struct terminator {
	struct span text;
	bool is_clean; /* of bare newlines: a message like any other */
};

/* Every terminator of the smuggling tools, then a second transaction: one message or none, and no reply
 * more than for one. */
static void check_smuggling(const struct terminator *t, enum bare_newline bare)
{
	static const char head[] = "EHLO x\r\n" ENVELOPE "Subject: x\r\n\r\nbody";
	static const char tail[] = ENVELOPE "Subject: smuggled\r\n\r\nevil";
	char input[512];
	bool is_refused = bare == BARE_REJECT && !t->is_clean;
	size_t n = sizeof(head) - 1;

	memcpy(input, head, n);
	memcpy(input + n, t->text.p, t->text.n);
	n += t->text.n;
	memcpy(input + n, tail, sizeof(tail) - 1);
	n += sizeof(tail) - 1;
	memcpy(input + n, "\r\n.\r\nQUIT\r\n", 11);
	n += 11;
	for (size_t first = sizeof(head) - 1; first <= n; first++) {
		struct engine e;
		engine_init(&e);
		e.settings.bare_newline = bare;
		engine_start(&e);
		engine_send_split(&e, (struct span){ input, n }, first, SIZE_MAX);
		CHECK(span_ends(captured_span(&e.out),
			is_refused
				? SPAN("354 End data with <CR><LF>.<CR><LF>\r\n"
				       "550 5.6.0 Bare <CR> or <LF> in the message\r\n"
				       "221 2.0.0 Closing connection\r\n")
				: SPAN("354 End data with <CR><LF>.<CR><LF>\r\n"
				       "250 2.6.0 Delivered as 1796116087.M000042P7Q1\r\n"
				       "221 2.0.0 Closing connection\r\n")));
		CHECK(e.memory.n_stored == !is_refused);
		CHECK(e.session.n_transactions == 1);
		CHECK(e.session.end == END_QUIT);
		engine_stop(&e, END_EOF);
		engine_check(&e);
		engine_done(&e);
	}
}

static void test_nothing_is_smuggled(void)
{
	static const struct terminator terminators[] = {
		{ .text = { "\n.\n", 3 } },
		{ .text = { "\n.\r", 3 } },
		{ .text = { "\n.\r\n", 4 } },
		{ .text = { "\r.\r", 3 } },
		{ .text = { "\r.\n", 3 } },
		{ .text = { "\r.\r\n", 4 } },
		{ .text = { "\r\n.\n", 4 } },
		{ .text = { "\r\n.\r", 4 } },
		{ .text = { "\r\n.\r\r\n", 6 } },
		{ .text = { "\r\n\r.\r\n", 6 } },
		{ .text = { "\n\r.\r\n", 5 } },
		{ .text = { "\r\r\n.\r\r\n", 7 } },
		{ .text = { "\r\n\0.\r\n", 6 }, .is_clean = true },
		{ .text = { "\r\n.\0\r\n", 6 }, .is_clean = true },
		{ .text = { "\r\n. \r\n", 6 }, .is_clean = true },
		{ .text = { "\r\n..\r\n", 6 }, .is_clean = true },
	};

	for (size_t i = 0; i < TEST_COUNT(terminators); i++) {
		check_smuggling(&terminators[i], BARE_NORMALIZE);
		check_smuggling(&terminators[i], BARE_REJECT);
	}
}

/* `text` in front of a second transaction, cut in two at `first`: one message, or two where the model ends the first. */
static void check_spelling(struct span text, size_t first)
{
	static const char head[] = "EHLO x\r\n" ENVELOPE;
	static const char tail[] =
		ENVELOPE "Subject: smuggled\r\n\r\nevil\r\n.\r\nQUIT\r\n";
	const size_t n_head = sizeof(head) - 1, n_tail = sizeof(tail) - 1;
	char input[256];
	size_t n = n_head + text.n + n_tail;
	struct content content;
	struct engine e;

	memcpy(input, head, n_head);
	memcpy(input + n_head, text.p, text.n);
	memcpy(input + n_head + text.n, tail, n_tail);
	content = content_decode((struct span){ input + n_head, n - n_head }, true);
	engine_init(&e);
	engine_start(&e);
	engine_send_split(&e, (struct span){ input, n }, n_head + first, SIZE_MAX);
	CHECK(content.end && e.session.end == END_QUIT);
	if (content.n_rest == 6 || content.n_rest == n_tail) {
		size_t n_messages = content.n_rest == 6 ? 1 : 2;
		CHECK(e.session.n_transactions == n_messages);
		CHECK(e.memory.n_stored == n_messages);
	}
	engine_stop(&e, END_EOF);
	engine_check(&e);
	engine_done(&e);
	free(content.text);
}

/*
 * Fault of 2026: end of data in every spelling: no text of CR, LF, dot, NUL and blank, after CRLF and after LF, makes
 * the following content be parsed as commands, unless CRLF.CRLF is in it.
 */
static void test_no_spelling_makes_commands_of_content(void)
{
	static const char alphabet[] = { '\r', '\n', '.', '\0', ' ' };
	char text[3 + SPELLING_MAX];

	for (size_t n = 0, count = 1; n <= SPELLING_MAX; n++, count *= sizeof(alphabet))
		for (size_t seed = 0; seed < 2 * count && !test_failed; seed++) {
			size_t front = seed < count ? 3 : 2, digits = seed % count;
			memcpy(text, front == 3 ? "x\r\n" : "x\n", front);
			for (size_t i = 0; i < n; i++, digits /= sizeof(alphabet))
				text[front + i] = alphabet[digits % sizeof(alphabet)];
			check_spelling((struct span){ text, front + n }, front + n);
			check_spelling(
				(struct span){ text, front + n }, seed % (front + n));
		}
}

/* CRLF.CRLF ends the content; its first CRLF may be that of the command line. */
static void test_a_bare_lf_behind_data_begins_no_end(void)
{
	struct engine e;

	engine_init(&e);
	engine_start(&e);
	engine_send(&e, SPAN("HELO x\r\n" ENVELOPE));
	engine_send(&e, SPAN(".\r\n"));
	CHECK(e.memory.n_stored == 1);
	engine_send(&e, SPAN("MAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nDATA\n.\r\n"));
	CHECK(e.memory.n_stored == 1 && e.session.phase == PHASE_CONTENT);
	engine_send(&e, SPAN(".\r\n"));
	CHECK(e.memory.n_stored == 2);
	engine_done(&e);
}

/* EOF, reset and a missing close_notify are all END_EOF or END_BROKEN to the engine. */
static void test_a_message_without_its_end_is_not_stored(void)
{
	static const char input[] =
		"EHLO x\r\n" ENVELOPE "Subject: x\r\n\r\n..body\r\n.\r\n";

	for (size_t n = 0; n < sizeof(input) - 1; n++) {
		struct engine e;
		engine_init(&e);
		engine_start(&e);
		engine_send(&e, (struct span){ input, n });
		engine_stop(&e, n % 2 ? END_EOF : END_BROKEN);
		CHECK(e.memory.n_stored == 0);
		CHECK(!memmem(captured_span(&e.out).p, captured_span(&e.out).n,
			"Delivered", 9));
		engine_check(&e);
		engine_done(&e);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_nothing_is_smuggled),
		TEST(test_no_spelling_makes_commands_of_content),
		TEST(test_a_bare_lf_behind_data_begins_no_end),
		TEST(test_a_message_without_its_end_is_not_stored),
	};

	return test_main(tests, TEST_COUNT(tests));
}
