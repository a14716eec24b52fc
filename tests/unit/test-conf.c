/* SPDX-License-Identifier: ISC */
/* proto/conf: the lines of a settings file, and numbers with units. */
#include "proto/conf.h"
#include "unit/test.h"

struct pair {
	const char *line, *key, *value;
};

static void test_reads_pairs(void)
{
	static const struct pair table[] = {
		{ .line = "a=b", .key = "a", .value = "b" },
		{ .line = " tls-key \t= /etc/a b.pem \t",
			.key = "tls-key",
			.value = "/etc/a b.pem" },
		{ .line = "a=", .key = "a", .value = "" },
		{ .line = "a = b = c", .key = "a", .value = "b = c" },
		{ .line = "a=b # c", .key = "a", .value = "b # c" },
		{ .line = "a=b\r", .key = "a", .value = "b" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct span key, value;
		CHECK(conf_parse(span_of(table[i].line), &key, &value) == CONF_PAIR);
		CHECK_SPAN(key, table[i].key);
		CHECK_SPAN(value, table[i].value);
	}
}

static void test_knows_what_is_no_pair(void)
{
	static const char *const blank[] = { "", " \t", "#", "  # a=b", "\r" };
	static const char *const bad[] = { "a", "=", "=b", " \t=b", "a b" };
	struct span key = SPAN("untouched"), value = SPAN("untouched");

	for (size_t i = 0; i < TEST_COUNT(blank); i++)
		CHECK(conf_parse(span_of(blank[i]), &key, &value) == CONF_BLANK);
	for (size_t i = 0; i < TEST_COUNT(bad); i++)
		CHECK(conf_parse(span_of(bad[i]), &key, &value) == CONF_SYNTAX);
	CHECK_SPAN(key, "untouched");
	CHECK_SPAN(value, "untouched");
}

struct quantity {
	struct span text;
	bool is_valid;
	uint64_t value;
};

static void test_reads_quantities(void)
{
	static const uint64_t factors[] = { 1024, 1024 * 1024 };
	static const struct quantity table[] = {
		{ .text = { "7", 1 }, .is_valid = true, .value = 7 },
		{ .text = { "1k", 2 }, .is_valid = true, .value = 1024 },
		{ .text = { "2M", 2 }, .is_valid = true, .value = 2097152 },
		{ .text = { "0K", 2 }, .is_valid = true, .value = 0 },
		{ .text = { "18446744073709551615", 20 },
			.is_valid = true,
			.value = UINT64_MAX },
		{ .text = { "18014398509481983k", 18 },
			.is_valid = true,
			.value = UINT64_MAX - 1023 },
		{ .text = { "18014398509481984k", 18 } },
		{ .text = { "18446744073709551616", 20 } },
		{ .text = { "", 0 } },
		{ .text = { "k", 1 } },
		{ .text = { "1kk", 3 } },
		{ .text = { "1 k", 3 } },
		{ .text = { "1g", 2 } },
		{ .text = { "-1", 2 } },
		{ .text = { "1\0", 2 } },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		uint64_t value = 99;
		bool is_valid = conf_quantity(table[i].text, "km", factors, &value);
		CHECK(is_valid == table[i].is_valid);
		if (is_valid)
			CHECK(value == table[i].value);
	}
}

static void test_finds_the_word_that_was_meant(void)
{
	static const char *const words[] = { "hostname", "tls", "tls-certificate",
		"tls-key", "on", "off", "required" };
	static const struct words list = WORDS_OF(words);
	static const struct {
		const char *text, *meant;
	} table[] = {
		{ "tls_key", "tls-key" },
		{ "TLS-KEY", "tls-key" },
		{ "tls-kye", "tls-key" },
		{ "tlskey", "tls-key" },
		{ "tls-certifcate", "tls-certificate" },
		{ "cert", "tls-certificate" },
		{ "myhostname", "hostname" },
		{ "the-hostname-of", "hostname" },
		{ "require", "required" },
		{ "tsl", "tls" },
		{ "ON", "on" },
		{ "", NULL },
		{ "x", NULL },
		{ "yes", NULL },
		{ "a-word-that-is-longer-than-any-other-and-than-the-room", NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		const char *meant = conf_nearest(span_of(table[i].text), &list);
		if (!CHECK(!meant == !table[i].meant) ||
			(meant && !CHECK(strcmp(meant, table[i].meant) == 0)))
			fprintf(stderr, "\t%s: %s\n", table[i].text,
				meant ? meant : "none");
	}
}

/* An option may have a value, and may be no word at all. */
static void test_finds_the_option_that_was_meant(void)
{
	static const char *const words[] = { "check", "listen", "define=" };
	static const struct words names = WORDS_OF(words);
	static const struct {
		const char *written, *meant;
	} table[] = {
		{ "--chekc", "; did you mean --check?" },
		{ "-check", "; did you mean --check?" },
		{ "--defin=a", "; did you mean --define=?" },
		{ "--lisetn=25", "; did you mean --listen?" },
		{ "--", "" },
		{ "--=25", "" },
		{ "--frobnicate", "" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char meant[CONF_MEANT_MAX];
		conf_put_meant_option(meant, table[i].written, &names);
		if (!CHECK_SPAN(span_of(meant), table[i].meant))
			fprintf(stderr, "\t%s\n", table[i].written);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_reads_pairs),
		TEST(test_knows_what_is_no_pair),
		TEST(test_reads_quantities),
		TEST(test_finds_the_word_that_was_meant),
		TEST(test_finds_the_option_that_was_meant),
	};

	return test_main(tests, TEST_COUNT(tests));
}
