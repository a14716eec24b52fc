/* SPDX-License-Identifier: ISC */
/* tools/status/record: written records are read back, and any other content of a log does no harm. */
#include "tools/status/source.h"
#include "unit/test.h"

#define HEAD "{\"time\":\"2026-12-01T09:08:07.000042Z\",\"event\":\"session\""
#define INFO ",\"level\":\"info\",\"pid\":7"

/* Every line that record_put_json() makes is read, and made again, octet for octet. */
static void test_a_record_comes_back_as_it_was(void)
{
	static const char *const lines[] = {
		HEAD INFO ",\"end\":\"quit\",\"peer\":\"192.0.2.1\",\"port\":4711,"
			  "\"helo\":\"a\\\\x22b c\",\"tls\":\"TLS1.3\",\"resumed\":true,"
			  "\"messages\":0,\"duration_ms\":18446744073}",
		"{\"time\":\"2026-12-01T09:08:07.000042Z\",\"event\":\"message\","
		"\"level\":\"warning\",\"pid\":4242,\"id\":\"1.M42P7Q1\","
		"\"outcome\":\"delivered\",\"status\":\"Report Error (DSN)\","
		"\"from\":\"\",\"to\":[\"a@b.example\",\"\\\\x22c,d\\\\x22@e.example\","
		"\"...\"],\"refused_to\":[\"c@b.example\",\"d@b.example\"],"
		"\"refused_replies\":[\"550 a\\\\x7C\",\"452 "
		"b\"],\"size\":17,\"lenient\":true,\"host\":\"mail1.example.net\"}",
		"{\"time\":\"2026-12-01T09:08:07.000042Z\",\"event\":\"error\","
		"\"level\":\"error\",\"pid\":1,\"text\":\"log /x: Permission denied\"}",
		HEAD INFO "}",
	};

	for (size_t i = 0; i < TEST_COUNT(lines); i++) {
		static struct status_record record;
		char octets[STATUS_LINE_MAX];
		struct buf b = BUF(octets);
		REQUIRE(status_json_read(span_of(lines[i]), &record));
		record_put_json(&b, &record.record, record.pid);
		CHECK_SPAN(buf_span(&b), lines[i]);
	}
}

static void test_what_is_no_record_is_none(void)
{
	static const char *const lines[] = {
		"",
		" ",
		"null",
		"[]",
		"\"session\"",
		"event=session end=quit",
		"{}",
		HEAD,
		HEAD ",\"end\":\"qui",
		HEAD "}}",
		HEAD "} {\"event\":\"session\"}",
		HEAD ",\"event\":\"message\"}",
		HEAD ",\"helo\":\"\xff\"}",
		HEAD ",\"helo\":\"\xc3\"}",
		HEAD ",\"helo\":\"a\tb\"}",
		HEAD ",\"messages\":99999999999999999999999999}",
		HEAD ",\"messages\":1e999}",
		"{\"time\":\"yesterday\",\"event\":\"session\"}",
		"{\"time\":1796116087,\"event\":\"session\"}",
		"{\"time\":\"2026-12-01T09:08:07.000042Z\",\"event\":\"party\"}",
		"{\"time\":\"2026-12-01T09:08:07.000042Z\"}",
		"{\"time\":\"2026-12-01T09:08:07.000042Z\",\"event\":[\"session\"]}",
	};
	static struct status_record record;

	for (size_t i = 0; i < TEST_COUNT(lines); i++)
		if (!CHECK(!status_json_read(span_of(lines[i]), &record)))
			fprintf(stderr, "\t%s\n", lines[i]);
}

static void test_nesting_and_length_have_an_end(void)
{
	static char text[STATUS_LINE_MAX + 2];
	static struct status_record record;

	memset(text, '[', sizeof(text));
	CHECK(!status_json_read((struct span){ text, sizeof(text) - 2 }, &record));
	memset(text, ' ', sizeof(text));
	memcpy(text, HEAD "}", sizeof(HEAD));
	CHECK(status_json_read((struct span){ text, sizeof(text) - 2 }, &record));
	CHECK(!status_json_read((struct span){ text, sizeof(text) - 1 }, &record));
}

/* Members that are not of their kind are left out, and octets that no record has are shown as such. */
static void test_values_are_what_a_record_could_have(void)
{
	static const struct {
		const char *member;
		enum record_key key;
		const char *value; /* NULL: none */
	} table[] = {
		{ "\"helo\":\"a\\u001b[2Jb\"", RECORD_HELO, "a\\x1B[2Jb" },
		{ "\"helo\":\"\\u0000\"", RECORD_HELO, NULL },
		{ "\"helo\":\"a\\\"b\"", RECORD_HELO, "a\\x22b" },
		{ "\"helo\":\"\xc3\xa9\"", RECORD_HELO, "\\xC3\\xA9" },
		{ "\"helo\":\"\\u202e\"", RECORD_HELO, "\\xE2\\x80\\xAE" },
		{ "\"helo\":\"a\\nb\"", RECORD_HELO, "a\\x0Ab" },
		{ "\"helo\":\"a\\\\x0Ab\"", RECORD_HELO, "a\\x0Ab" },
		{ "\"helo\":17", RECORD_HELO, NULL },
		{ "\"helo\":[\"a\"]", RECORD_HELO, NULL },
		{ "\"helo\":\"\"", RECORD_HELO, NULL },
		{ "\"messages\":17", RECORD_MESSAGES, "17" },
		{ "\"messages\":9223372036854775807", RECORD_MESSAGES,
			"9223372036854775807" },
		{ "\"messages\":-1", RECORD_MESSAGES, NULL },
		{ "\"messages\":1.5", RECORD_MESSAGES, NULL },
		{ "\"messages\":\"17\"", RECORD_MESSAGES, NULL },
		{ "\"resumed\":true", RECORD_RESUMED, "yes" },
		{ "\"resumed\":false", RECORD_RESUMED, NULL },
		{ "\"resumed\":\"yes\"", RECORD_RESUMED, NULL },
		{ "\"from\":\"a@b.example\"", RECORD_FROM, "<a@b.example>" },
		{ "\"from\":\"\"", RECORD_FROM, "<>" },
		{ "\"from\":\"a>,<b\"", RECORD_FROM, "<a\\x3E,\\x3Cb>" },
		{ "\"from\":null", RECORD_FROM, NULL },
		{ "\"to\":[\"a@b.example\",\"...\"]", RECORD_TO, "<a@b.example>,..." },
		{ "\"to\":[\"...\",\"a@b.example\"]", RECORD_TO, "<...>,<a@b.example>" },
		{ "\"to\":[1,\"a@b.example\",null]", RECORD_TO, "<a@b.example>" },
		{ "\"to\":\"a@b.example\"", RECORD_TO, NULL },
		{ "\"to\":[]", RECORD_TO, NULL },
		{ "\"refused_replies\":[\"a|b\",\"c\\u0001\"]", RECORD_REFUSED_REPLIES,
			"a\\x7Cb|c\\x01" },
		{ "\"refused_replies\":\"a\"", RECORD_REFUSED_REPLIES, NULL },
		{ "\"HELO\":\"a\"", RECORD_HELO, NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		static struct status_record record;
		char line[256];
		snprintf(line, sizeof(line), HEAD ",%s}", table[i].member);
		if (strstr(table[i].member, "\\u0000")) {
			/* a NUL is nothing that Jansson takes */
			CHECK(!status_json_read(span_of(line), &record));
			continue;
		}
		REQUIRE(status_json_read(span_of(line), &record));
		CHECK_SPAN(status_record_get(&record, table[i].key),
			table[i].value ? table[i].value : "");
	}
}

/* By its number; without a list each has the one reply of the record. */
static void test_each_refused_recipient_has_its_reply(void)
{
	static const struct {
		const char *members, *address, *reply; /* NULL: not refused */
	} table[] = {
		{ ",\"refused_replies\":[\"550 a\",\"452 b\"]", "c@b.example", "550 a" },
		{ ",\"refused_replies\":[\"550 a\",\"452 b\"]", "D@b.example", "452 b" },
		{ ",\"refused_replies\":[\"550 a\",\"452 b\"]", "@b.example", "550 a" },
		{ ",\"refused_replies\":[\"550 a\",\"452 b\"]", "e@b.example", NULL },
		{ ",\"refused_replies\":[\"550 a\"]", "d@b.example", "" },
		{ ",\"reason\":\"553 c\"", "d@b.example", "553 c" },
		{ "", "d@b.example", "" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		static struct status_record record;
		struct status_path path;
		char line[256];
		snprintf(line, sizeof(line),
			HEAD ",\"refused_to\":[\"c@b.example\",\"d@b.example\"]%s}",
			table[i].members);
		REQUIRE(status_json_read(span_of(line), &record));
		if (CHECK(status_record_find_path(&record, RECORD_REFUSED_TO,
				  table[i].address, &path) == (table[i].reply != NULL)) &&
			table[i].reply)
			CHECK_SPAN(
				status_record_refusal(&record, path.i), table[i].reply);
	}
}

static void test_levels_lead_to_topics_of_that_weight(void)
{
	static const struct {
		const char *members;
		enum record_level level;
		const char *status;
	} table[] = {
		{ ",\"level\":\"info\"", RECORD_LEVEL_INFO, NULL },
		{ ",\"level\":\"loud\"", RECORD_LEVEL_INFO, NULL },
		{ "", RECORD_LEVEL_INFO, NULL },
		{ ",\"level\":\"error\"", RECORD_LEVEL_ERROR, NULL },
		{ ",\"level\":\"warning\",\"status\":\"SSL Error (Wrong Port)\"",
			RECORD_LEVEL_WARNING, "SSL Error (Wrong Port)" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		static struct status_record record;
		const struct topic_row *topic;
		char line[256];
		snprintf(line, sizeof(line), HEAD "%s}", table[i].members);
		REQUIRE(status_json_read(span_of(line), &record));
		topic = topic_get(record.record.topic);
		CHECK(topic->level == table[i].level);
		if (table[i].status)
			CHECK_SPAN(span_of(topic->status), table[i].status);
	}
}

/* All values together have a limit: values above it are left out, and the others are whole. */
static void test_a_record_has_room_for_no_more_than_one_of_ours(void)
{
	static char line[STATUS_LINE_MAX];
	static struct status_record record, copy;
	struct buf b = BUF(line);

	buf_put_str(&b, HEAD ",\"helo\":\"");
	for (size_t i = 0; i < RECORD_TEXT_MAX; i++)
		buf_put_char(&b, 'x');
	buf_put_str(&b, "\",\"cipher\":\"");
	for (size_t i = 0; i < RECORD_TEXT_MAX - 8; i++)
		buf_put_char(&b, 'x');
	buf_put_str(&b, "\",\"end\":\"quit\",\"sni\":\"too long\"}");
	REQUIRE(!b.overflow && status_json_read(buf_span(&b), &record));
	CHECK_SPAN(status_record_get(&record, RECORD_END), "quit");
	CHECK(status_record_get(&record, RECORD_HELO).n == 0);
	CHECK(status_record_get(&record, RECORD_CIPHER).n == RECORD_TEXT_MAX - 8);
	CHECK(status_record_get(&record, RECORD_SNI).n == 0);
	status_record_copy(&copy, &record);
	status_record_clear(&record);
	CHECK_SPAN(status_record_get(&copy, RECORD_END), "quit");
	CHECK(status_record_get(&copy, RECORD_CIPHER).p > copy.text &&
		status_record_get(&copy, RECORD_CIPHER).p <
			copy.text + sizeof(copy.text));
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_record_comes_back_as_it_was),
		TEST(test_what_is_no_record_is_none),
		TEST(test_nesting_and_length_have_an_end),
		TEST(test_values_are_what_a_record_could_have),
		TEST(test_each_refused_recipient_has_its_reply),
		TEST(test_levels_lead_to_topics_of_that_weight),
		TEST(test_a_record_has_room_for_no_more_than_one_of_ours),
	};

	return test_main(tests, TEST_COUNT(tests));
}
