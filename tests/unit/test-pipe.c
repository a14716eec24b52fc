/* SPDX-License-Identifier: ISC */
/* tools/pipe: the facts of a message, the order of messages, and the command line. */
#include "tools/pipe/pipe.h"
#include "base/cleanup.h"
#include "proto/text.h"
#include "unit/test.h"

#define TOP                                                                              \
	"Return-Path: <ann@example.net>\n"                                               \
	"Delivered-To: scan@example.org\n"                                               \
	"Received: from client.example.net ([192.0.2.7])\n"                              \
	"\tby mail.example.org with ESMTPSA id 1.M1P1Q1\n"                               \
	"\tfor <scan@example.org>\n"                                                     \
	"\ttls TLS_AES_256_GCM_SHA384 group X25519;\n"                                   \
	"\tTue, 01 Dec 2026 09:08:07 +0000\n"
/* the same fields, and all others that could be taken for them, by the client */
#define FORGED "Return-Path: <forged@evil.example>\n" FORGED_REST
#define FORGED_REST                                                                      \
	"X-Original-To: forged@evil.example\n"                                           \
	"Delivered-To: forged@evil.example\n"                                            \
	"Received: from forged.example ([203.0.113.66])\n"                               \
	"\tby forged with ESMTPSA id 6\n"                                                \
	"\t(Authenticated sender: forged)\n"                                             \
	"\ttls FORGED;\n"                                                                \
	"\tTue, 01 Dec 2026 09:08:07 +0000\n"                                            \
	"X-Postern-User: forged\n"
#define REST "Subject: hello\nMessage-ID: <1@example.net>\n\nSubject: body\n"

struct read {
	struct pipe_facts facts;
	char octets[4096];
	struct buf recipients;
};

static void read_head(struct read *r, const char *text)
{
	r->recipients = (struct buf)BUF(r->octets);
	pipe_facts_read(span_of(text), &r->facts, &r->recipients);
}

static void test_facts_are_those_of_postern_s_own_fields(void)
{
	struct read r;

	read_head(&r, TOP FORGED REST);
	CHECK_SPAN(r.facts.sender, "ann@example.net");
	CHECK_SPAN(r.facts.recipient, "scan@example.org");
	CHECK_SPAN(buf_span(&r.recipients), "scan@example.org\n");
	CHECK_SPAN(r.facts.peer, "192.0.2.7");
	CHECK_SPAN(r.facts.tls, "TLS_AES_256_GCM_SHA384");
	CHECK(!r.facts.user.p);
	CHECK_SPAN(r.facts.subject, "hello");
	CHECK_SPAN(r.facts.message_id, "<1@example.net>");
}

static void test_what_is_not_there_is_not_taken_from_below(void)
{
	struct read r;

	read_head(&r, "Return-Path: <>\nReceived: from unknown\n\tby mail.example.org "
		      "with LMTP "
		      "id 1;\n\tTue, 01 Dec 2026 09:08:07 +0000\n" FORGED "\n" TOP REST);
	CHECK(r.facts.sender.p && r.facts.sender.n == 0);
	CHECK(!r.facts.recipient.p && r.facts.n_recipients == 0 && r.recipients.n == 0);
	CHECK(!r.facts.peer.p && !r.facts.tls.p && !r.facts.user.p);
	CHECK(!r.facts.subject.p && !r.facts.message_id.p);
}

static void test_a_message_that_postern_did_not_write_has_no_envelope(void)
{
	static const char *const texts[] = {
		FORGED_REST,
		"Subject: x\n" FORGED,
		"Return-Path: <a@b>\nDelivered-To: c\n\nReceived: from x ([192.0.2.1])\n",
		"Return-Path: <a@b>\nno field\nReceived: from x ([192.0.2.1])\n",
		"Return-Path: <a@b>\nReceived: from x ([192.0.2.1])",
		"",
		"\n" TOP,
	};

	for (size_t i = 0; i < TEST_COUNT(texts); i++) {
		struct read r;
		read_head(&r, texts[i]);
		CHECK(!r.facts.sender.p && !r.facts.recipient.p && !r.facts.peer.p);
		CHECK(!r.facts.tls.p && !r.facts.user.p && r.recipients.n == 0);
	}
}

static void test_the_envelope_is_given_octet_for_octet(void)
{
	struct read r;

	read_head(&r,
		"Return-Path: <\"a > b\\\"$(x)\"@example.net>\n"
		"Delivered-To: \"-rf /;\xc3\xa4\"@example.org\n"
		"Received: from [192.0.2.9] ([IPv6:2001:db8::1])\n\tby m with ESMTPA id "
		"1\n\t(Authenticated sender: a\\)b);\n\tdate\n\n");
	CHECK_SPAN(r.facts.sender, "\"a > b\\\"$(x)\"@example.net");
	CHECK_SPAN(r.facts.recipient, "\"-rf /;\xc3\xa4\"@example.org");
	CHECK_SPAN(r.facts.peer, "2001:db8::1");
	CHECK_SPAN(r.facts.user, "a\\)b");
	CHECK(!r.facts.tls.p);
}

static void test_several_recipients_are_a_list(void)
{
	struct read r;

	read_head(&r,
		"Return-Path: <a@b>\nX-Original-To: one@example.org\n"
		"Delivered-To: box@example.org\nX-Original-To: two@example.org\n"
		"Delivered-To: box@example.org\nX-Filter: added\n"
		"Received: from x ([192.0.2.1])\n\tby y with SMTP id 1;\n\tdate\n\n");
	CHECK(r.facts.n_recipients == 2 && !r.facts.recipient.p);
	CHECK_SPAN(buf_span(&r.recipients), "one@example.org\ntwo@example.org\n");
}

static void test_the_message_s_own_fields_may_be_folded(void)
{
	struct read r;

	read_head(&r, TOP "message-id:\n <long@example.net>\nSubject : one\n\ttwo\n\n");
	CHECK_SPAN(r.facts.subject, "one\n\ttwo");
	CHECK_SPAN(r.facts.message_id, "<long@example.net>");
	read_head(&r, TOP "Message-ID: --help\n\n");
	CHECK(!r.facts.message_id.p);
}

struct encoded_words {
	const char *encoded, *decoded;
};

static void check_words(const struct encoded_words *w)
{
	char octets[PIPE_SUBJECT_MAX];
	struct buf b = BUF(octets);

	pipe_words_put(&b, span_of(w->encoded));
	CHECK_SPAN(buf_span(&b), w->decoded);
}

static void test_subjects_are_decoded(void)
{
	static const struct encoded_words list[] = {
		{ "", "" },
		{ "plain text", "plain text" },
		{ "folded\n\ttext", "folded text" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		/* RFC 2047 8 */
		{ "(=?ISO-8859-1?Q?a?=)", "(a)" },
		{ "=?ISO-8859-1?Q?a?= b", "a b" },
		{ "=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab" },
		{ "=?ISO-8859-1?Q?a?=\n   =?ISO-8859-1?Q?b?=", "ab" },
		{ "=?ISO-8859-1?Q?a_b?=", "a b" },
		{ "=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b" },
		{ "=?utf-8?b?w6Q=?=", "\xc3\xa4" },
		/* a language: RFC 2231 5 */
		{ "=?UTF-8*de?q?=C3=A4?=", "\xc3\xa4" },
		{ "=?windows-1252?Q?=80?=", "\xe2\x82\xac" },
		{ "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
		{ "=?shift_jis?B?k/qWew==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
		/* a character cut in two */
		{ "=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "\xc3\xa4" },
	};

	for (size_t i = 0; i < TEST_COUNT(list); i++)
		check_words(&list[i]);
}

static void test_what_cannot_be_decoded_stays_or_is_marked(void)
{
	static const struct encoded_words list[] = {
		{ "=?x-unknown?q?a?=", "=?x-unknown?q?a?=" },
		/* the C library supports it, but it is not in the list */
		{ "=?ISO-2022-CN-EXT?q?a?=", "=?ISO-2022-CN-EXT?q?a?=" },
		{ "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
		{ "=?utf-8?b?w6Q?=", "=?utf-8?b?w6Q?=" },
		{ "=?utf-8?q?a?= =?utf-8?b?!?=", "=?utf-8?q?a?= =?utf-8?b?!?=" },
		{ "=?utf-8?q?open", "=?utf-8?q?open" },
		{ "=?", "=?" },
		{ "=?utf-8?q?=ZZ=4?=", "=ZZ=4" },
		{ "=?utf-8?q?=FF=41?=", "\xef\xbf\xbd"
					"A" },
		{ "\xff"
		  "A",
			"\xef\xbf\xbd"
			"A" },
		{ "=?us-ascii?q?=E4?=", "\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < TEST_COUNT(list); i++)
		check_words(&list[i]);
}

static void test_a_subject_is_harmless_in_an_environment(void)
{
	static const struct encoded_words list[] = {
		{ "=?utf-8?q?a=00b=0Ac=0D=1B[0m=7F?=", "a b c  [0m " },
		{ "a\x1b]0;x\x07", "a ]0;x " },
		{ "=?utf-8?q?=C2=85?=", " " },
		{ "--help", " --help" },
		{ "=?utf-8?q?-rf?=", " -rf" },
	};
	OWNED char *large = malloc(60001);
	char octets[2 * PIPE_SUBJECT_MAX];
	struct buf b = BUF(octets);

	for (size_t i = 0; i < TEST_COUNT(list); i++)
		check_words(&list[i]);
	REQUIRE(large);
	large[0] = 'x';
	for (size_t i = 1; i < 60001; i++)
		large[i] = i % 2 ? '\xc3' : '\xa4';
	pipe_words_put(&b, (struct span){ large, 60001 });
	CHECK(b.n == PIPE_SUBJECT_MAX - 1 && utf8_valid(buf_span(&b)));
}

/* Each of these words looked for its end in all that follows: 8 seconds. */
static void test_a_header_full_of_words_without_an_end_is_read_in_linear_time(void)
{
	static const char word[] = "=?utf-8?q?a";
	size_t n = PIPE_HEAD_MAX / (sizeof(word) - 1) * (sizeof(word) - 1);
	char *large = malloc(n), octets[PIPE_SUBJECT_MAX + 1];
	struct buf b = BUF(octets);
	clock_t begun = clock();

	for (size_t i = 0; i < n; i++)
		large[i] = word[i % (sizeof(word) - 1)];
	pipe_words_put(&b, (struct span){ large, n });
	CHECK(buf_span(&b).n == PIPE_SUBJECT_MAX && memcmp(octets, large, b.n) == 0);
	CHECK(clock() - begun < 2 * CLOCKS_PER_SEC);
	free(large);
}

static void test_messages_are_sorted_by_time_and_name(void)
{
	static const char *const sorted[] = { "no time", "1.a", "2.M9P1Q1.h",
		"2.M10P1Q1.h", "2.M10P2Q1.h", "10.M1P1Q1.h", "10.M1P1Q2.h",
		"99999999999.M1" };
	static const size_t order[] = { 5, 0, 7, 3, 1, 6, 2, 4 };
	struct pipe_queue q = { 0 };
	struct pipe_message *m;

	for (size_t i = 0; i < TEST_COUNT(order); i++)
		REQUIRE(pipe_queue_add(&q, sorted[order[i]], &m) == 0);
	CHECK(q.n == TEST_COUNT(sorted));
	for (size_t i = 0; i < q.n; i++)
		CHECK(strcmp(q.list[i].message->name, sorted[i]) == 0);
	CHECK(pipe_queue_add(&q, sorted[3], &m) == 1 && m == q.list[3].message);
	pipe_queue_remove(&q, sorted[3]);
	pipe_queue_remove(&q, "3.x");
	CHECK(q.n == TEST_COUNT(sorted) - 1 && !pipe_queue_find(&q, sorted[3]));
	pipe_queue_clear(&q, true);
}

static void add(
	struct pipe_queue *q, const char *name, enum pipe_state state, uint64_t due)
{
	struct pipe_message *m;

	REQUIRE(pipe_queue_add(q, name, &m) == 0);
	m->state = state;
	m->due = due;
}

static void test_a_message_that_waits_holds_back_none_but_in_strict_order(void)
{
	struct pipe_queue q = { 0 };
	uint64_t due = UINT64_MAX;

	add(&q, "1.a", PIPE_RUNNING, 0);
	add(&q, "2.a", PIPE_DECIDED, 40);
	add(&q, "3.a", PIPE_WAITING, 50);
	add(&q, "4.a", PIPE_READY, 0);
	CHECK(strcmp(pipe_queue_next(&q, 10, false, &due)->name, "4.a") == 0);
	CHECK(!pipe_queue_next(&q, 10, true, &due) && due == 50);
	CHECK(strcmp(pipe_queue_next(&q, 50, true, &due)->name, "3.a") == 0);
	due = UINT64_MAX;
	CHECK(!pipe_queue_decided(&q, 10, &due) && due == 40);
	CHECK(strcmp(pipe_queue_decided(&q, 40, &due)->name, "2.a") == 0);
	pipe_queue_clear(&q, false);
	CHECK(q.n == 1 && q.list[0].message->state == PIPE_RUNNING);
	pipe_queue_clear(&q, true);
}

static void test_pauses_grow_until_the_time_of_trying_ends(void)
{
	static const struct {
		uint64_t tries, waited, first, retry_for, pause;
	} list[] = {
		{ 1, 0, 60, 432000, 60 },
		{ 2, 60, 60, 432000, 120 },
		{ 6, 0, 60, 432000, 1920 },
		{ 7, 0, 60, 432000, 3600 },
		{ 1000000, 0, 60, 432000, 3600 },
		{ 3, 0, 7200, 432000, 7200 },
		{ 1, 431990, 60, 432000, 10 },
		{ 1, 432000, 60, 432000, 0 },
		{ 1, 0, 60, 0, 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(list); i++) {
		struct pipe_message m = { .tries = list[i].tries,
			.waited = list[i].waited };
		CHECK(pipe_pause(&m, list[i].first, list[i].retry_for) == list[i].pause);
	}
}

#define ARGUMENTS(...)                                                                   \
	{                                                                                \
		"postern-pipe", __VA_ARGS__, NULL                                        \
	}

static size_t count(const char **argv)
{
	size_t n = 0;

	while (argv[n])
		n++;
	return n;
}

static void test_a_command_line_is_read_whole(void)
{
	static const char *words[] = ARGUMENTS("-c", "/etc/x", "--timeout=2m",
		"--retry-for=1h", "--retry-after=5", "-n", "3", "--keep=30d", "/box",
		"--", "/bin/cat", "-n");
	static const char *tree[] = ARGUMENTS(
		"--check", "--tree=/mail", "--table=/t", "--keep-new", "--strict-order");
	struct pipe_options o;

	pipe_options_parse((int)count(words), (char **)words, &o);
	CHECK(o.mode == PIPE_RUN && o.timeout == 120 && o.retry_for == 3600);
	CHECK(o.retry_after == 5 && o.n_programs == 3 && o.keep == 30 * 86400);
	CHECK(o.after == PIPE_MOVE && strcmp(o.mailbox, "/box") == 0);
	CHECK(strcmp(o.argv[0], "/bin/cat") == 0 && strcmp(o.argv[1], "-n") == 0);
	pipe_options_parse((int)count(tree), (char **)tree, &o);
	CHECK(o.mode == PIPE_CHECK && o.after == PIPE_KEEP_NEW && o.strict_order);
}

static void test_a_wrong_command_line_is_refused(void)
{
	static const char *lists[][8] = {
		ARGUMENTS("/box"),
		ARGUMENTS("/box", "--"),
		ARGUMENTS("--", "cat"),
		ARGUMENTS("box", "--", "cat"),
		ARGUMENTS("/box", "/more", "--", "cat"),
		ARGUMENTS("/box", "--", "./cat"),
		ARGUMENTS("--nonsense", "/box", "--", "cat"),
		ARGUMENTS("-n", "0", "/box", "--", "cat"),
		ARGUMENTS("-n", "65", "/box", "--", "cat"),
		ARGUMENTS("-n"),
		ARGUMENTS("-c"),
		ARGUMENTS("--timeout=0", "/box", "--", "cat"),
		ARGUMENTS("--timeout=1x", "/box", "--", "cat"),
		ARGUMENTS("--keep=0", "/box", "--", "cat"),
		ARGUMENTS("--keep=1d", "--delete", "/box", "--", "cat"),
		ARGUMENTS("--keep-new", "--delete", "/box", "--", "cat"),
		ARGUMENTS("--strict-order", "-n", "2", "/box", "--", "cat"),
		ARGUMENTS("--tree=/mail"),
		ARGUMENTS("--table=/t"),
		ARGUMENTS("--tree=mail", "--table=/t"),
		ARGUMENTS("--tree=/mail", "--table=/t", "/box"),
		ARGUMENTS("--tree=/mail", "--table=/t", "--", "cat"),
	};

	for (size_t i = 0; i < TEST_COUNT(lists); i++) {
		struct pipe_options o;
		pipe_options_parse((int)count(lists[i]), (char **)lists[i], &o);
		if (!CHECK(o.mode == PIPE_USAGE && o.wrong && o.fault))
			fprintf(stderr, "\trow %zu\n", i);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_facts_are_those_of_postern_s_own_fields),
		TEST(test_what_is_not_there_is_not_taken_from_below),
		TEST(test_a_message_that_postern_did_not_write_has_no_envelope),
		TEST(test_the_envelope_is_given_octet_for_octet),
		TEST(test_several_recipients_are_a_list),
		TEST(test_the_message_s_own_fields_may_be_folded),
		TEST(test_subjects_are_decoded),
		TEST(test_what_cannot_be_decoded_stays_or_is_marked),
		TEST(test_a_subject_is_harmless_in_an_environment),
		TEST(test_a_header_full_of_words_without_an_end_is_read_in_linear_time),
		TEST(test_messages_are_sorted_by_time_and_name),
		TEST(test_a_message_that_waits_holds_back_none_but_in_strict_order),
		TEST(test_pauses_grow_until_the_time_of_trying_ends),
		TEST(test_a_command_line_is_read_whole),
		TEST(test_a_wrong_command_line_is_refused),
	};

	return test_main(tests, TEST_COUNT(tests));
}
