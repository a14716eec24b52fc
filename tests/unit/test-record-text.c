/* SPDX-License-Identifier: ISC */
/* smtp/record: the text of a record is one line, and one value of JSON, for any values. */
#include "smtp/record.h"
#include "unit/test.h"

static const struct record message = {
	.event = RECORD_MESSAGE,
	.topic = TOPIC_NOT_REPORTED,
	.when = { .seconds = 1796116087, .microseconds = 42 },
	.n = 8,
	.values = {
		{ RECORD_ID, { "1.M42P7Q1", 9 } },
		{ RECORD_HELO, { "a\\x22b c", 8 } },
		{ RECORD_FROM, { "<>", 2 } },
		{ RECORD_TO, { "<a@b.example>,<\\x22c\\x3E,d\\x22@e.example>,...", 45 } },
		{ RECORD_REFUSED_REPLIES, { "550 a\\x7C|452 b", 15 } },
		{ RECORD_SIZE, { "17", 2 } },
		{ RECORD_FILE, { "1.host,S=7", 10 } },
		{ RECORD_LENIENT, { "yes", 3 } },
	},
};

static void test_a_line_has_name_and_value(void)
{
	char octets[RECORD_LINE_MAX];
	struct buf b = BUF(octets);

	record_put_line(&b, &message);
	CHECK_SPAN(buf_span(&b), "event=message id=1.M42P7Q1 helo=\"a\\x22b c\" from=<> "
				 "to=<a@b.example>,<\\x22c\\x3E,d\\x22@e.example>,... "
				 "refused_replies=\"550 a\\x7C|452 b\" size=17 "
				 "file=\"1.host,S=7\" lenient=yes");
}

/* RFC 8259; time: RFC 3339 5.6 */
static void test_json_has_a_type_for_each_kind(void)
{
	char octets[RECORD_LINE_MAX];
	struct buf b = BUF(octets);

	record_put_json(&b, &message, 4242);
	CHECK_SPAN(buf_span(&b),
		"{\"time\":\"2026-12-01T09:08:07.000042Z\",\"event\":\"message\","
		"\"level\":\"warning\",\"pid\":4242,\"id\":\"1.M42P7Q1\","
		"\"helo\":\"a\\\\x22b c\",\"from\":\"\","
		"\"to\":[\"a@b.example\",\"\\\\x22c\\\\x3E,d\\\\x22@e.example\",\"...\"],"
		"\"refused_replies\":[\"550 a\\\\x7C\",\"452 b\"],"
		"\"size\":17,\"file\":\"1.host,S=7\",\"lenient\":true}");
}

/* All at once, each of the longest: what every sink has room for. */
static void test_the_longest_record_fits(void)
{
	static char octets[RECORD_LINE_MAX], escapes[RECORD_TEXT_MAX];
	struct record r = { .event = RECORD_SESSION, .n = RECORD_KEYS };
	struct buf b = BUF(octets), all = BUF(escapes);
	size_t share = RECORD_TEXT_MAX / RECORD_KEYS / 4 * 4;

	while (buf_room(&all) >= 4)
		buf_put(&all, SPAN("\\xFF"));
	for (enum record_key key = 0; key < RECORD_KEYS; key++)
		r.values[key] = (struct record_value){ key, { escapes, share } };
	record_put_json(&b, &r, UINT32_MAX);
	CHECK(!b.overflow);
	b.n = 0;
	record_put_line(&b, &r);
	CHECK(!b.overflow);
}

static void test_names_lead_to_their_keys(void)
{
	for (enum record_key key = 0; key < RECORD_KEYS; key++)
		CHECK(record_key_find(span_of(record_field(key)->name)) == key);
	CHECK(record_key_find(SPAN("no_such_value")) == RECORD_KEYS);
	for (enum record_event event = 0; event < RECORD_EVENTS; event++)
		CHECK(record_event_find(span_of(record_event_word(event))) == event);
	CHECK(record_event_find(SPAN("")) == RECORD_EVENTS);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_line_has_name_and_value),
		TEST(test_json_has_a_type_for_each_kind),
		TEST(test_the_longest_record_fits),
		TEST(test_names_lead_to_their_keys),
	};

	return test_main(tests, TEST_COUNT(tests));
}
