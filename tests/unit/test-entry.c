/* SPDX-License-Identifier: ISC */
/* Lines of tables: one key, one value. */
#include "proto/conf.h"
#include "unit/test.h"

static void test_a_line_is_a_key_and_a_value(void)
{
	static const struct {
		const char *line, *key, *value;
	} cases[] = {
		{ "key value", "key", "value" },
		{ "key\t \tone two\tthree", "key", "one two\tthree" },
		{ "key value \t\r", "key", "value" },
		{ "key", "key", "" },
		{ "key \r", "key", "" },
		{ "#key\\ # value", NULL, NULL },
		{ "key # no comment", "key", "# no comment" },
		{ "k\xc3\xa9y v\xc3\xa4l", "k\xc3\xa9y", "v\xc3\xa4l" },
		{ "a@b:c", "a@b:c", "" },
		{ "", NULL, NULL },
		{ " \t \r", NULL, NULL },
		{ "# x", NULL, NULL },
		{ "  # x", NULL, NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct span key, value;
		const char *what = NULL;
		enum entry_line r =
			entry_parse(span_of(cases[i].line), &key, &value, &what);
		CHECK(r == (cases[i].key ? ENTRY_FINE : ENTRY_BLANK));
		CHECK(!what);
		if (r == ENTRY_FINE) {
			CHECK_SPAN(key, cases[i].key);
			CHECK_SPAN(value, cases[i].value);
		}
	}
}

static const char *fault_of(struct span line)
{
	struct span key, value;
	const char *what = NULL;

	return entry_parse(line, &key, &value, &what) == ENTRY_WRONG ? what : NULL;
}

static void test_what_is_no_such_line_is_refused(void)
{
	char text[ENTRY_KEY_MAX + 1 + ENTRY_VALUE_MAX + 1];

	CHECK_SPAN(span_of(fault_of(SPAN(" key value"))),
		"begins with a blank, but no line continues another; remove the blank");
	CHECK_SPAN(span_of(fault_of(SPAN("\tkey value"))),
		"begins with a blank, but no line continues another; remove the blank");
	CHECK_SPAN(span_of(fault_of(SPAN("key val\0ue"))), "has a NUL in it");
	CHECK_SPAN(span_of(fault_of(SPAN("ke\0y value"))), "has a NUL in it");
	memset(text, 'x', sizeof(text));
	CHECK_SPAN(span_of(fault_of((struct span){ text, ENTRY_KEY_MAX + 1 })),
		"has a key of more than 1024 octets");
	text[ENTRY_KEY_MAX] = ' ';
	CHECK(!fault_of((struct span){ text, sizeof(text) - 1 }));
	CHECK_SPAN(span_of(fault_of((struct span){ text, sizeof(text) })),
		"has a value of more than 4096 octets");
}

static void test_a_word_is_shown_so_that_people_can_read_it(void)
{
	char text[300], octets[ENTRY_SHOWN_MAX + 1];
	struct buf b = BUF(octets);

	entry_show(&b, SPAN("jos\xc3\xa9@example.org\x1b[m\xff"));
	CHECK_SPAN(buf_span(&b), "jos\xc3\xa9@example.org\\x1B[m\\xFF");
	memset(text, 'x', sizeof(text));
	for (size_t n = 0; n < sizeof(text); n++) {
		b.n = 0;
		entry_show(&b, (struct span){ text, n });
		CHECK(!b.overflow);
		CHECK(b.n == n || span_ends(buf_span(&b), SPAN("x...")));
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_line_is_a_key_and_a_value),
		TEST(test_what_is_no_such_line_is_refused),
		TEST(test_a_word_is_shown_so_that_people_can_read_it),
	};

	return test_main(tests, TEST_COUNT(tests));
}
