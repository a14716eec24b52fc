/* SPDX-License-Identifier: ISC */
/* Answers of filters: what each means, when it may come, and what it ends. */
#include "base/buf.h"
#include "unit/milter.h"

#define NO_DATA DATA("")
#define NOT_HERE "sent a command that is not for this event"
#define WRONG_DATA "sent a command with wrong data"
#define NOT_OWED "answered although it owed no answer"

/* A conversation in which the answer to that event is owed. */
static struct milter_talk talk_at(enum milter_event event)
{
	struct milter_talk t = talk_of(6, 0);

	CHECK(milter_sent(&t, event));
	return t;
}

static void test_a_verdict_is_what_its_command_says(void)
{
	static const struct {
		char command;
		enum milter_kind kind;
		const char *word;
	} cases[] = {
		{ 'c', MILTER_CONTINUE, "continue" },
		{ 'a', MILTER_ACCEPT, "accept" },
		{ 'r', MILTER_REJECT, "reject" },
		{ 't', MILTER_TEMPFAIL, "tempfail" },
		{ 'd', MILTER_DISCARD, "discard" },
		{ '4', MILTER_SHUTDOWN, "shutdown" },
		{ 'f', MILTER_FAIL, "fail" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct milter_talk t = talk_at(MILTER_END);
		struct milter_answer a;
		CHECK(!answer(&t, cases[i].command, NO_DATA, &a));
		CHECK(a.kind == cases[i].kind && a.event == MILTER_END);
		CHECK(milter_is_verdict(a.kind) && !milter_owes(&t));
		CHECK_SPAN(span_of(milter_kind_word(a.kind)), cases[i].word);
		t = talk_at(MILTER_END);
		CHECK_SPAN(span_of(answer(&t, cases[i].command, DATA("\0"), &a)),
			WRONG_DATA);
	}
}

static void test_a_command_that_is_none_is_a_fault(void)
{
	for (unsigned c = 0; c <= 255; c++) {
		struct milter_talk t = talk_at(MILTER_END);
		struct milter_answer a = { .code = 9 };
		const char *fault = answer(&t, (char)c, NO_DATA, &a);
		bool known = c && strchr("cartyd4fsphimb+2-eq", (int)c);
		if (!CHECK(known == !(fault && strstr(fault, "that is none"))))
			fprintf(stderr, "\t%u\n", c);
		CHECK(!fault == (known && strchr("cartd4fpb", (int)c)));
		CHECK(!fault || (a.code == 9 && t.n_owed == 1));
	}
}

/* Only between E and the verdict; at connect and helo there is no message. */
static void test_an_answer_has_its_events(void)
{
	static const struct {
		char command;
		struct span data;
		const char *events; /* on which it is taken, by their commands */
	} cases[] = {
		{ 'c', DATA(""), "CHMRTLNBEU" },
		{ 'a', DATA(""), "CHMRTLNBEU" },
		{ 'r', DATA(""), "CHMRTLNBEU" },
		{ 't', DATA(""), "CHMRTLNBEU" },
		{ 'y', DATA("550 no\0"), "CHMRTLNBEU" },
		{ '4', DATA(""), "CHMRTLNBEU" },
		{ 'f', DATA(""), "CHMRTLNBEU" },
		{ 'p', DATA(""), "CHMRTLNBEU" },
		{ 'd', DATA(""), "MRTLNBE" },
		{ 's', DATA(""), "RLB" },
		{ 'h', DATA("A\0b\0"), "E" },
		{ 'i', DATA("\0\0\0\0A\0b\0"), "E" },
		{ 'm', DATA("\0\0\0\0A\0b\0"), "E" },
		{ 'b', DATA("x"), "E" },
		{ '+', DATA("a@b\0"), "E" },
		{ '2', DATA("a@b\0"), "E" },
		{ '-', DATA("a@b\0"), "E" },
		{ 'e', DATA("a@b\0"), "E" },
		{ 'q', DATA("why\0"), "E" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		for (size_t event = 0; event < MILTER_EVENTS; event++) {
			struct milter_talk t = talk_at((enum milter_event)event);
			struct milter_answer a;
			const char *fault =
				answer(&t, cases[i].command, cases[i].data, &a);
			bool fine = strchr(cases[i].events, "CHMRTLNBEU"[event]);
			if (!CHECK_SPAN(span_of(fault), fine ? "" : NOT_HERE))
				fprintf(stderr, "\t%c, event %zu\n", cases[i].command,
					event);
		}
}

static void check_text(struct span got, const char *want)
{
	CHECK_SPAN(got, want ? want : "");
	CHECK((got.p != NULL) == (want != NULL));
}

static void test_an_edit_has_its_parts(void)
{
	static const struct {
		char command;
		struct span data;
		enum milter_kind kind;
		uint32_t index;
		const char *name, *value, *params; /* NULL: none */
	} cases[] = {
		{ 'h', DATA("A\0b\0"), MILTER_ADD, 0, "A", "b", NULL },
		{ 'h', DATA("A\0\0"), MILTER_ADD, 0, "A", "", NULL },
		{ 'i', DATA("\0\0\0\1A\0b\0"), MILTER_INSERT, 1, "A", "b", NULL },
		{ 'm', DATA("\xff\0\1\2A\0\0"), MILTER_CHANGE, 0xff000102, "A", "",
			NULL },
		{ 'b', DATA(""), MILTER_BODY_PIECE, 0, NULL, "", NULL },
		{ 'b', DATA("a b"), MILTER_BODY_PIECE, 0, NULL, "a b", NULL },
		{ '+', DATA("<a@b>\0"), MILTER_RCPT_ADD, 0, NULL, "<a@b>", NULL },
		{ '2', DATA("<a@b>\0"), MILTER_RCPT_ADD, 0, NULL, "<a@b>", NULL },
		{ '2', DATA("<a@b>\0X=1\0"), MILTER_RCPT_ADD, 0, NULL, "<a@b>", "X=1" },
		{ '-', DATA("<a@b>\0"), MILTER_RCPT_DELETE, 0, NULL, "<a@b>", NULL },
		{ 'e', DATA("<>\0"), MILTER_SENDER, 0, NULL, "<>", NULL },
		{ 'e', DATA("<>\0\0"), MILTER_SENDER, 0, NULL, "<>", "" },
		{ 'q', DATA("why\0"), MILTER_QUARANTINE, 0, NULL, "why", NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct milter_talk t = talk_at(MILTER_END);
		struct milter_answer a;
		if (!CHECK(!answer(&t, cases[i].command, cases[i].data, &a)))
			continue;
		CHECK(a.kind == cases[i].kind && a.index == cases[i].index);
		check_text(a.name, cases[i].name);
		check_text(a.value, cases[i].value);
		check_text(a.params, cases[i].params);
		/* a quarantine is no verdict: one follows */
		CHECK(!milter_is_verdict(a.kind) && milter_owes(&t));
	}
}

/* Strings end with NUL; octets left over are a fault, and so are those that lack. */
static void test_data_that_is_cut_or_goes_on_is_a_fault(void)
{
	static const struct {
		char command;
		struct span data;
		size_t also; /* a shorter length that is a whole command, too */
	} cases[] = {
		{ 'h', DATA("Name\0value\0"), 99 },
		{ 'i', DATA("\0\0\0\1Name\0value\0"), 99 },
		{ 'm', DATA("\0\0\0\1Name\0value\0"), 99 },
		{ '+', DATA("<a@b>\0"), 99 },
		{ '2', DATA("<a@b>\0X=1\0"), 6 },
		{ 'e', DATA("<a@b>\0X=1\0"), 6 },
		{ '-', DATA("<a@b>\0"), 99 },
		{ 'q', DATA("why\0"), 99 },
		{ 'y', DATA("550 no\0"), 99 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char more[32] = { 0 };
		struct milter_answer a;
		struct milter_talk t;
		memcpy(more, cases[i].data.p, cases[i].data.n);
		for (size_t n = 0; n <= cases[i].data.n + 2; n++) {
			bool fine = n == cases[i].data.n || n == cases[i].also;
			const char *fault;
			t = talk_at(MILTER_END);
			fault = answer(
				&t, cases[i].command, (struct span){ more, n }, &a);
			if (!CHECK_SPAN(span_of(fault), fine ? "" : WRONG_DATA))
				fprintf(stderr, "\t%c, %zu\n", cases[i].command, n);
		}
	}
}

static void check_reply(
	struct span data, unsigned code, const char *enhanced, const char *text)
{
	struct milter_talk t = talk_at(MILTER_RCPT);
	struct milter_answer a;
	char memory[256];
	struct buf b = BUF(memory);

	if (!CHECK(!answer(&t, 'y', data, &a)))
		return;
	CHECK(a.kind == MILTER_REPLY && a.code == code);
	CHECK_SPAN(span_of(a.enhanced), enhanced);
	milter_put_reply(&b, a.value, '\n');
	CHECK_SPAN(buf_span(&b), text);
}

static void test_a_reply_has_one_code_and_texts(void)
{
	check_reply(DATA("550 5.7.1 no\0"), 550, "5.7.1", "no");
	check_reply(DATA("451 4.7.1 later\0"), 451, "4.7.1", "later");
	check_reply(DATA("550 no\0"), 550, "", "no");
	check_reply(DATA("550\0"), 550, "", "");
	check_reply(DATA("550 \0"), 550, "", "");
	check_reply(DATA("550 5.7.1\0"), 550, "5.7.1", "");
	check_reply(DATA("550 5.7.1 a\r\n\0"), 550, "5.7.1", "a");
	check_reply(DATA("550-5.7.1 a\r\n550 5.7.1 b\0"), 550, "5.7.1", "a\nb");
	check_reply(DATA("550-5.7.1 a\r\n550-\r\n550 b\0"), 550, "5.7.1", "a\n\nb");
	check_reply(DATA("421 4.3.2 bye\0"), 421, "4.3.2", "bye");
	check_reply(DATA("599 5.999.999 x\0"), 599, "5.999.999", "x");
	/* no enhanced codes */
	check_reply(DATA("550 5.7.1234 x\0"), 550, "", "5.7.1234 x");
	check_reply(DATA("550 5.7.x\0"), 550, "", "5.7.x");
	check_reply(DATA("550 4 of 5\0"), 550, "", "4 of 5");
	check_reply(DATA("550 5.7.1: x\0"), 550, "", "5.7.1: x");
	check_reply(DATA("550 5.\0"), 550, "", "5.");
	check_reply(DATA("550 5.7\0"), 550, "", "5.7");
	check_reply(DATA("550 5.7.\0"), 550, "", "5.7.");
	check_reply(DATA("550 5..1\0"), 550, "", "5..1");
	check_reply(DATA("550 5.7-1\0"), 550, "", "5.7-1");
}

static void test_a_percent_sign_is_written_twice(void)
{
	check_reply(DATA("550 100%% spam\0"), 550, "", "100% spam");
	check_reply(DATA("550 100% spam\0"), 550, "", "100% spam");
	check_reply(DATA("550 %%%\0"), 550, "", "%%");
	check_reply(DATA("550 %s%%n\0"), 550, "", "%s%n");
}

/* reply text with NUL, lone LF, mixed codes */
static void test_a_wrong_reply_is_a_fault(void)
{
	static const char code[] = "sent a reply whose code is not 4xx or 5xx",
			  class[] =
				  "sent a reply whose enhanced code is of another class",
			  two[] = "sent a reply of two codes",
			  end[] = "sent a reply with a CR or LF that is no line end";
	static const struct {
		struct span data;
		const char *fault;
	} cases[] = {
		{ DATA("\0"), code },
		{ DATA("55\0"), code },
		{ DATA("250 ok\0"), code },
		{ DATA("354 go\0"), code },
		{ DATA("600 x\0"), code },
		{ DATA("5x0 x\0"), code },
		{ DATA("5500 x\0"), code },
		{ DATA("550x\0"), code },
		{ DATA(" 550 x\0"), code },
		{ DATA("550 4.7.1 x\0"), class },
		{ DATA("450 5.7.1 x\0"), class },
		{ DATA("550 2.0.0 x\0"), class },
		{ DATA("550-5.7.1 a\r\n550 4.7.1 b\0"), class },
		{ DATA("550-a\r\n551 b\0"), two },
		{ DATA("550-a\r\n450 b\0"), two },
		{ DATA("550-a\r\nb\0"), code },
		{ DATA("550-a\r\n\r\n550 b\0"), code },
		{ DATA("550-a\n550 b\0"), end },
		{ DATA("550 a\n\0"), end },
		{ DATA("550 a\r\0"), end },
		{ DATA("550 a\rb\0"), end },
		{ DATA("550-a\r\r\n550 b\0"), end },
		{ DATA("550 a\0b\0"), WRONG_DATA },
		{ DATA("550 a"), WRONG_DATA },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct milter_talk t = talk_at(MILTER_END);
		struct milter_answer a;
		const char *fault = answer(&t, 'y', cases[i].data, &a);
		if (!CHECK_SPAN(span_of(fault), cases[i].fault))
			fprintf(stderr, "\tcase %zu\n", i);
		CHECK(milter_owes(&t));
	}
}

static void test_a_reply_has_32_lines_at_most(void)
{
	char memory[512];

	for (size_t n = MILTER_REPLY_LINES_MAX; n <= MILTER_REPLY_LINES_MAX + 1; n++) {
		struct buf b = BUF(memory);
		struct milter_talk t = talk_at(MILTER_END);
		struct milter_answer a;
		for (size_t i = 0; i < n; i++)
			buf_put_str(&b, "550-x\r\n");
		buf_put_char(&b, '\0');
		CHECK_SPAN(span_of(answer(&t, 'y', buf_span(&b), &a)),
			n > MILTER_REPLY_LINES_MAX ? "sent a reply of more than 32 lines"
						   : "");
	}
}

static void test_a_reply_can_be_one_line_of_text(void)
{
	char memory[64];
	struct buf b = BUF(memory);

	milter_put_reply(&b, SPAN("550-5.7.1 a\r\n550 5.7.1 b\r\n"), ' ');
	CHECK_SPAN(buf_span(&b), "a b");
}

/* O C H M go in one write; the answers are those of C, H and M, in turn */
static void test_answers_belong_to_the_oldest_event(void)
{
	struct milter_talk t = talk_of(6, 0);
	struct milter_answer a;

	CHECK(milter_sent(&t, MILTER_CONNECT) && milter_sent(&t, MILTER_HELO) &&
		milter_sent(&t, MILTER_MAIL));
	CHECK(!answer(&t, 'c', NO_DATA, &a) && a.event == MILTER_CONNECT);
	CHECK(!answer(&t, 'p', NO_DATA, &a) && a.event == MILTER_HELO);
	CHECK(!milter_is_verdict(a.kind));
	CHECK(!answer(&t, 't', NO_DATA, &a) && a.event == MILTER_HELO);
	CHECK(!answer(&t, 'c', NO_DATA, &a) && a.event == MILTER_MAIL);
	CHECK(!milter_owes(&t));
}

static void test_what_is_owed_has_a_limit(void)
{
	struct milter_talk t = talk_of(6, 0);

	for (size_t i = 0; i < MILTER_OWED_MAX; i++)
		CHECK(milter_sent(&t, MILTER_FIELD));
	CHECK(!milter_sent(&t, MILTER_FIELD));
	CHECK(t.n_owed == MILTER_OWED_MAX);
}

static void test_an_event_without_a_reply_is_not_waited_for(void)
{
	struct milter_talk t = talk_of(6, 0xff280);

	for (size_t event = 0; event < MILTER_EVENTS; event++) {
		CHECK(milter_sent(&t, (enum milter_event)event));
		CHECK(milter_owes(&t) == (event >= MILTER_END));
	}
	CHECK(t.n_owed == 1 && t.owed[0] == MILTER_END);
}

/* a filter that replies although it said NR_*, and a second verdict */
static void test_an_answer_that_is_not_owed_is_a_fault(void)
{
	struct milter_talk t = talk_of(6, MILTER_NR_CONNECT);
	struct milter_answer a;

	CHECK_SPAN(span_of(answer(&t, 'c', NO_DATA, &a)), NOT_OWED);
	CHECK(milter_sent(&t, MILTER_CONNECT));
	CHECK_SPAN(span_of(answer(&t, 'c', NO_DATA, &a)), NOT_OWED);
	CHECK_SPAN(span_of(answer(&t, 'p', NO_DATA, &a)), NOT_OWED);
	t = talk_at(MILTER_END);
	CHECK(!answer(&t, 'c', NO_DATA, &a));
	CHECK_SPAN(span_of(answer(&t, 'c', NO_DATA, &a)), NOT_OWED);
	CHECK_SPAN(span_of(answer(&t, 'p', NO_DATA, &a)), NOT_OWED);
	t = talk_at(MILTER_MAIL);
	CHECK(!answer(&t, 'a', NO_DATA, &a));
	CHECK_SPAN(span_of(answer(&t, 'q', DATA("why\0"), &a)), NOT_OWED);
}

/* rspamd sends DKIM-Signature behind `a` where it has added a spam header */
static void test_an_edit_behind_the_verdict_on_a_message_is_late(void)
{
	struct milter_talk t = talk_at(MILTER_END);
	struct milter_answer a;

	CHECK(!answer(&t, 'a', NO_DATA, &a) && !a.late);
	CHECK(!answer(&t, 'i', DATA("\0\0\0\1X-A\0v\0"), &a));
	CHECK(a.late && a.event == MILTER_END && !milter_is_verdict(a.kind));
	CHECK_SPAN(span_of(answer(&t, 'i', DATA("\0\0\0\1X-A\0"), &a)), WRONG_DATA);
	milter_talk_reset(&t);
	CHECK(!answer(&t, 'q', DATA("why\0"), &a) && a.late);
	/* never once the next message has begun */
	CHECK(milter_sent(&t, MILTER_MAIL));
	CHECK_SPAN(span_of(answer(&t, 'q', DATA("why\0"), &a)), NOT_HERE);
	CHECK(!answer(&t, 'c', NO_DATA, &a) && !a.late);
	CHECK_SPAN(span_of(answer(&t, 'q', DATA("why\0"), &a)), NOT_OWED);
}

static void test_a_filter_is_silent_that_answers_not_all(void)
{
	struct milter_talk all = talk_of(6, MILTER_SKIP_ALLOWED | MILTER_NO_BODY);
	struct milter_talk some = talk_of(6, MILTER_NR_HELO);

	CHECK(!milter_is_silent(&all));
	CHECK(milter_is_silent(&some));
}

static void test_an_event_that_is_off_is_off_alone(void)
{
	static const struct {
		uint32_t option;
		enum milter_event event;
	} cases[] = {
		{ MILTER_NO_CONNECT, MILTER_CONNECT },
		{ MILTER_NO_HELO, MILTER_HELO },
		{ MILTER_NO_MAIL, MILTER_MAIL },
		{ MILTER_NO_RCPT, MILTER_RCPT },
		{ MILTER_NO_DATA, MILTER_DATA },
		/* NOHDRS is not NOEOH */
		{ MILTER_NO_FIELDS, MILTER_FIELD },
		{ MILTER_NO_END_OF_HEADER, MILTER_END_OF_HEADER },
		/* NOBODY is not "no E" */
		{ MILTER_NO_BODY, MILTER_BODY },
		{ MILTER_NO_UNKNOWN, MILTER_UNKNOWN },
		{ 0, MILTER_EVENTS },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct milter_talk t = talk_of(6, cases[i].option);
		for (size_t event = 0; event < MILTER_EVENTS; event++)
			CHECK(milter_wants(&t, (enum milter_event)event) ==
				(event != cases[i].event));
	}
}

/* skip ends one kind of event for one message; E follows all the same */
static void test_skip_concerns_its_own_kind_of_event(void)
{
	static const enum milter_event repeated[] = { MILTER_RCPT, MILTER_FIELD,
		MILTER_BODY };

	for (size_t i = 0; i < TEST_COUNT(repeated); i++) {
		struct milter_talk t = talk_at(repeated[i]);
		struct milter_answer a;
		CHECK(!answer(&t, 's', NO_DATA, &a));
		CHECK(a.kind == MILTER_SKIP && !milter_owes(&t));
		for (size_t event = 0; event < MILTER_EVENTS; event++)
			CHECK(milter_wants(&t, (enum milter_event)event) ==
				(event != repeated[i]));
		milter_talk_reset(&t);
		CHECK(milter_wants(&t, repeated[i]));
	}
}

static void test_version_2_has_no_skip(void)
{
	struct milter_talk t = talk_of(2, 0);
	struct milter_answer a;

	CHECK(milter_sent(&t, MILTER_BODY));
	CHECK_SPAN(span_of(answer(&t, 's', NO_DATA, &a)),
		"sent a command that its version does not have");
}

static void test_accept_is_of_the_session_or_of_the_message(void)
{
	for (size_t event = 0; event < MILTER_EVENTS; event++) {
		struct milter_talk t = talk_at((enum milter_event)event);
		bool session = event == MILTER_CONNECT || event == MILTER_HELO;
		bool none = event == MILTER_UNKNOWN;
		struct milter_answer a;
		CHECK(!answer(&t, 'a', NO_DATA, &a));
		CHECK(milter_wants(&t, MILTER_RCPT) == none);
		CHECK(milter_wants(&t, MILTER_END) == none);
		CHECK(milter_wants_macros(&t, MILTER_END) == none);
		/* state is not kept after the message, whoever ended it */
		milter_talk_reset(&t);
		CHECK(milter_wants(&t, MILTER_MAIL) == !session);
		CHECK(milter_wants_macros(&t, MILTER_MAIL) == !session);
	}
}

/* the filters that come after one that refused are answered for a message that is over */
static void test_a_late_answer_has_no_effect_on_the_next_message(void)
{
	static const char verdicts[] = "as";

	for (size_t i = 0; verdicts[i]; i++) {
		struct milter_talk t = talk_at(MILTER_RCPT);
		struct milter_answer a;
		milter_talk_reset(&t);
		CHECK(milter_sent(&t, MILTER_MAIL));
		CHECK(!answer(&t, 'p', NO_DATA, &a) && a.late);
		CHECK(!answer(&t, verdicts[i], NO_DATA, &a));
		CHECK(a.late && a.event == MILTER_RCPT);
		CHECK(milter_wants(&t, MILTER_RCPT) && milter_wants(&t, MILTER_END));
		CHECK(!answer(&t, 'c', NO_DATA, &a));
		CHECK(!a.late && a.event == MILTER_MAIL && !milter_owes(&t));
	}
}

/* recipients that were refused already are shown to filters, which cannot take them back */
static void test_a_dropped_answer_ends_nothing(void)
{
	struct milter_talk t = talk_at(MILTER_RCPT);
	struct milter_answer a;

	milter_drops_answer(&t);
	CHECK(milter_owes(&t));
	CHECK(!answer(&t, 'r', NO_DATA, &a) && a.late && a.event == MILTER_RCPT);
	CHECK(!milter_owes(&t));
	CHECK(milter_sent(&t, MILTER_RCPT));
	CHECK(!answer(&t, 'c', NO_DATA, &a) && !a.late);
}

/* accepting the session is not about the message */
static void test_a_late_accept_of_the_session_holds(void)
{
	struct milter_talk t = talk_at(MILTER_HELO);
	struct milter_answer a;

	milter_talk_reset(&t);
	CHECK(!answer(&t, 'a', NO_DATA, &a));
	CHECK(!milter_wants(&t, MILTER_MAIL));
}

/* a verdict at rcpt is of that recipient alone: the message goes on */
static void test_a_refused_recipient_ends_nothing(void)
{
	static const char verdicts[] = "rt";

	for (size_t i = 0; verdicts[i]; i++) {
		struct milter_talk t = talk_at(MILTER_RCPT);
		struct milter_answer a;
		CHECK(!answer(&t, verdicts[i], NO_DATA, &a));
		for (size_t event = 0; event < MILTER_EVENTS; event++)
			CHECK(milter_wants(&t, (enum milter_event)event));
	}
}

/* a quarantine is neither taken for a verdict nor lost behind `y` */
static void test_a_quarantine_is_followed_by_its_verdict(void)
{
	struct milter_talk t = talk_at(MILTER_END);
	struct milter_answer a;

	CHECK(!answer(&t, 'q', DATA("why\0"), &a));
	CHECK(a.kind == MILTER_QUARANTINE && milter_owes(&t));
	CHECK_SPAN(span_of(milter_kind_word(a.kind)), "quarantine");
	CHECK(!answer(&t, 'y', DATA("550 no\0"), &a));
	CHECK(a.kind == MILTER_REPLY && !milter_owes(&t));
}

static void test_refused_recipients_go_to_filters_that_ask_for_them(void)
{
	struct milter_talk t = talk_of(6, 0);

	CHECK(!milter_wants_rejected(&t));
	t = talk_of(6, MILTER_REJECTED_RCPT);
	CHECK(milter_wants_rejected(&t));
	t = talk_of(6, MILTER_REJECTED_RCPT | MILTER_NO_RCPT);
	CHECK(!milter_wants_rejected(&t));
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_verdict_is_what_its_command_says),
		TEST(test_a_command_that_is_none_is_a_fault),
		TEST(test_an_answer_has_its_events),
		TEST(test_an_edit_has_its_parts),
		TEST(test_data_that_is_cut_or_goes_on_is_a_fault),
		TEST(test_a_reply_has_one_code_and_texts),
		TEST(test_a_percent_sign_is_written_twice),
		TEST(test_a_wrong_reply_is_a_fault),
		TEST(test_a_reply_has_32_lines_at_most),
		TEST(test_a_reply_can_be_one_line_of_text),
		TEST(test_answers_belong_to_the_oldest_event),
		TEST(test_what_is_owed_has_a_limit),
		TEST(test_an_event_without_a_reply_is_not_waited_for),
		TEST(test_an_answer_that_is_not_owed_is_a_fault),
		TEST(test_an_edit_behind_the_verdict_on_a_message_is_late),
		TEST(test_a_filter_is_silent_that_answers_not_all),
		TEST(test_an_event_that_is_off_is_off_alone),
		TEST(test_skip_concerns_its_own_kind_of_event),
		TEST(test_version_2_has_no_skip),
		TEST(test_accept_is_of_the_session_or_of_the_message),
		TEST(test_a_late_answer_has_no_effect_on_the_next_message),
		TEST(test_a_dropped_answer_ends_nothing),
		TEST(test_a_late_accept_of_the_session_holds),
		TEST(test_a_refused_recipient_ends_nothing),
		TEST(test_a_quarantine_is_followed_by_its_verdict),
		TEST(test_refused_recipients_go_to_filters_that_ask_for_them),
	};

	return test_main(tests, TEST_COUNT(tests));
}
