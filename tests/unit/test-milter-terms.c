/* SPDX-License-Identifier: ISC */
/* Negotiation with a filter, and which macros it gets. */
#include "base/buf.h"
#include "unit/milter.h"

#define BIT(n) (UINT32_C(1) << (n))

/* rspamd closes on any other size, and so does it on version 2 */
static void test_the_offer_is_version_6_in_exactly_twelve_octets(void)
{
	char memory[32];
	struct buf b = BUF(memory);

	milter_put_offer(&b);
	CHECK(b.n == 17);
	CHECK(memcmp(memory, "\0\0\0\15O\0\0\0\6\0\0\1\xff\0\x1f\xff\xff", 17) == 0);
}

static void test_versions_2_to_6_are_taken_and_no_others(void)
{
	for (unsigned version = 0; version <= 255; version++) {
		char numbers[12] = { 0, 0, 0, (char)version, 0, 0, 0, 0x3f };
		struct milter_frame frame = { 'O', { numbers, sizeof(numbers) } };
		struct milter_terms terms = { .version = 99 };
		const char *fault = milter_terms_take(&frame, &terms);
		bool fine = version >= 2 && version <= 6;
		CHECK(fine == !fault);
		CHECK(terms.version == (fine ? version : 99));
		if (fine)
			CHECK(terms.actions == 0x3f);
	}
}

static void test_an_older_version_gets_no_event_that_it_lacks(void)
{
	for (unsigned version = 2; version <= 6; version++) {
		struct milter_talk t = talk_of(version, 0);
		CHECK(milter_wants(&t, MILTER_UNKNOWN) == (version >= 3));
		CHECK(milter_wants(&t, MILTER_DATA) == (version >= 4));
		CHECK(milter_wants(&t, MILTER_CONNECT));
		CHECK(milter_wants(&t, MILTER_END));
	}
}

/* with version 2 there is no NR_*: a filter that echoes these bits answers all the same */
static void test_version_2_has_neither_silence_nor_skip(void)
{
	struct milter_terms terms = terms_of(2, MILTER_OPTIONS);

	CHECK(terms.options ==
		(0x7f | (uint32_t)MILTER_NO_UNKNOWN | (uint32_t)MILTER_NO_DATA));
}

/* rspamd answers all nine NR_*, offered or not */
static void test_options_that_were_not_offered_are_ignored(void)
{
	CHECK(terms_of(6, 0xffffffff).options == MILTER_OPTIONS);
	/* sizes of sendmail's larger pieces */
	CHECK(terms_of(6, 0x30000000).options == 0);
	CHECK(terms_of(6, 0xff280).options == 0xff280);
}

static void test_a_wrong_answer_to_the_offer_is_refused(void)
{
	static const struct {
		char command;
		struct span data;
		const char *fault;
	} cases[] = {
		{ 'c', { "", 0 }, "answered the offer with something else" },
		{ 'O', { "", 0 }, "answered the offer with too few octets" },
		{ 'O', { "\0\0\0\6\0\0\0\0\0\0\0", 11 },
			"answered the offer with too few octets" },
		{ 'O', { "\0\0\0\7\0\0\0\0\0\0\0\0", 12 },
			"answered a version of the protocol above 6, which it was "
			"offered" },
		{ 'O', { "\1\0\0\6\0\0\0\0\0\0\0\0", 12 },
			"answered a version of the protocol above 6, which it was "
			"offered" },
		{ 'O', { "\0\0\0\1\0\0\0\0\0\0\0\0", 12 },
			"answered a version of the protocol below 2" },
		{ 'O', { "\0\0\0\6\0\0\2\0\0\0\0\0", 12 },
			"wants an action that it was not offered" },
		{ 'O', { "\0\0\0\6\x80\0\0\0\0\0\0\0", 12 },
			"wants an action that it was not offered" },
		{ 'O', { "\0\0\0\6\0\0\0\0\0\0\0\0\0", 13 },
			"sent a list of macros that is cut short" },
		{ 'O', { "\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\0", 16 },
			"sent a list of macros that is cut short" },
		{ 'O', { "\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\0j", 17 },
			"sent a list of macros that is cut short" },
		{ 'O', { "\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\0j\0\0\0\0\1", 22 },
			"sent a list of macros that is cut short" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct milter_frame frame = { cases[i].command, cases[i].data };
		struct milter_terms terms = { .version = 99 };
		const char *fault = milter_terms_take(&frame, &terms);
		if (!CHECK_SPAN(span_of(fault), cases[i].fault))
			fprintf(stderr, "\tcase %zu\n", i);
		CHECK(terms.version == 99);
	}
}

/* stages: 5 is the end of the message, and 6 the end of the header */
static void test_a_filter_chooses_its_macros_for_a_stage(void)
{
	static const struct span data =
		DATA("\0\0\0\6\0\0\1\0\0\0\0\0"
		     "\0\0\0\0j,{client_addr} {_}\t{nonsense},{mail,ii}\0"
		     "\0\0\0\5i\0\0\0\0\6\0\0\0\0\x63i\0");
	struct milter_frame frame = { 'O', data };
	struct milter_terms terms, plain = terms_of(6, 0);

	REQUIRE(!milter_terms_take(&frame, &terms));
	CHECK(terms.macros[MILTER_AT_CONNECT] ==
		(BIT(MILTER_MACRO_HOSTNAME) | BIT(MILTER_MACRO_CLIENT_ADDR) |
			BIT(MILTER_MACRO_CLIENT)));
	CHECK(terms.macros[MILTER_AT_END] == BIT(MILTER_MACRO_ID));
	CHECK(terms.macros[MILTER_AT_END_OF_HEADER] == 0);
	for (size_t i = MILTER_AT_HELO; i <= MILTER_AT_DATA; i++) {
		CHECK(plain.macros[i] != 0);
		CHECK(terms.macros[i] == plain.macros[i]);
	}
}

static void test_macros_go_in_pairs_behind_the_command_they_are_for(void)
{
	struct milter_talk t = talk_of(6, 0);
	struct milter_values values = { .of = {
						[MILTER_MACRO_HOSTNAME] = SPAN("mx"),
						[MILTER_MACRO_CLIENT] = SPAN("a\0b"),
						[MILTER_MACRO_ID] = SPAN("7"),
						[MILTER_MACRO_MAIL_ADDR] = SPAN(""),
					} };
	char memory[128];
	struct buf b = BUF(memory);

	milter_put_macros(&b, &t, MILTER_CONNECT, &values);
	CHECK(b.n == 5 + 12);
	CHECK(memcmp(memory, "\0\0\0\015DCj\0mx\0_\0a?b\0", b.n) == 0);
	for (size_t cap = 0; cap < 5 + 12; cap++) {
		struct buf small = { .p = memory, .cap = cap };
		milter_put_macros(&small, &t, MILTER_CONNECT, &values);
		CHECK(small.n == 0 && small.overflow);
	}
	b.n = 0;
	/* the empty address of <> is a value */
	milter_put_macros(&b, &t, MILTER_MAIL, &values);
	CHECK(b.n == 5 + 18);
	CHECK(memcmp(memory,
		      "\0\0\0\023DMi\0"
		      "7\0{mail_addr}\0\0",
		      b.n) == 0);
	CHECK(!b.overflow);
}

static void test_a_macro_without_a_value_is_left_out(void)
{
	struct milter_talk t = talk_of(6, 0);
	struct milter_values values = { 0 };
	char memory[128];

	for (size_t event = 0; event < MILTER_EVENTS; event++) {
		struct buf b = BUF(memory);
		milter_put_macros(&b, &t, (enum milter_event)event, &values);
		CHECK(b.n == 0 && !b.overflow);
	}
}

static void test_macros_are_sent_even_if_their_event_is_not(void)
{
	struct milter_talk t = talk_of(6, MILTER_OPTIONS);
	struct milter_values values;
	char memory[2048];
	bool has[MILTER_EVENTS] = { [MILTER_CONNECT] = true,
		[MILTER_HELO] = true,
		[MILTER_MAIL] = true,
		[MILTER_RCPT] = true,
		[MILTER_DATA] = true,
		[MILTER_END_OF_HEADER] = true,
		[MILTER_END] = true };

	for (size_t i = 0; i < MILTER_MACROS; i++)
		values.of[i] = SPAN("x");
	for (size_t i = 0; i < MILTER_EVENTS; i++) {
		struct buf b = BUF(memory);
		enum milter_event event = (enum milter_event)i;
		CHECK(milter_wants(&t, event) == (event == MILTER_END));
		CHECK(milter_wants_macros(&t, event) == has[i]);
		milter_put_macros(&b, &t, event, &values);
		CHECK((b.n > 0) == has[i]);
		if (has[i])
			CHECK(memory[5] == "CHMRTLNBEU"[i]);
	}
}

static void test_check_can_name_actions_and_options(void)
{
	char memory[512];
	struct buf b = BUF(memory);

	milter_put_actions(&b, MILTER_ADD_FIELDS | MILTER_SET_MACROS);
	CHECK_SPAN(buf_span(&b), "add-headers set-macros");
	b.n = 0;
	milter_put_options(&b, MILTER_NO_CONNECT | MILTER_LEADING_SPACE | 0x40000000);
	CHECK_SPAN(buf_span(&b), "no-connect leading-space");
	b.n = 0;
	milter_put_options(&b, MILTER_NR_FIELDS | MILTER_NO_DATA | MILTER_NR_BODY);
	CHECK_SPAN(buf_span(&b), "silent-headers no-data silent-body");
	b.n = 0;
	milter_put_actions(&b, 0);
	CHECK(b.n == 0);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_the_offer_is_version_6_in_exactly_twelve_octets),
		TEST(test_versions_2_to_6_are_taken_and_no_others),
		TEST(test_an_older_version_gets_no_event_that_it_lacks),
		TEST(test_version_2_has_neither_silence_nor_skip),
		TEST(test_options_that_were_not_offered_are_ignored),
		TEST(test_a_wrong_answer_to_the_offer_is_refused),
		TEST(test_a_filter_chooses_its_macros_for_a_stage),
		TEST(test_macros_go_in_pairs_behind_the_command_they_are_for),
		TEST(test_a_macro_without_a_value_is_left_out),
		TEST(test_macros_are_sent_even_if_their_event_is_not),
		TEST(test_check_can_name_actions_and_options),
	};

	return test_main(tests, TEST_COUNT(tests));
}
