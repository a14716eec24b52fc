/* SPDX-License-Identifier: ISC */
/* proto/address: esmtp-param = esmtp-keyword ["=" esmtp-value], RFC 5321 4.1.2, RFC 6531 3.3. */
#include "proto/address.h"
#include "unit/test.h"

struct valid {
	const char *input;
	const char *keyword, *value;
	bool has_value, utf8;
	const char *rest;
};

static void test_takes_one_parameter(void)
{
	static const struct valid table[] = {
		{ .input = "SIZE=1",
			.keyword = "SIZE",
			.value = "1",
			.has_value = true,
			.rest = "" },
		{ .input = " SIZE=1 BODY=7BIT",
			.keyword = "SIZE",
			.value = "1",
			.has_value = true,
			.rest = " BODY=7BIT" },
		{ .input = "\t \tSMTPUTF8\tX",
			.keyword = "SMTPUTF8",
			.value = "",
			.rest = "\tX" },
		{ .input = "8-x-", .keyword = "8-x-", .value = "", .rest = "" },
		{ .input = "X=!\"#$%&'()<>@[]\\^`{|}~",
			.keyword = "X",
			.value = "!\"#$%&'()<>@[]\\^`{|}~",
			.has_value = true,
			.rest = "" },
		{ .input = "X=é Y",
			.keyword = "X",
			.value = "é",
			.has_value = true,
			.utf8 = true,
			.rest = " Y" },
		{ .input = "ORCPT=utf-8;jos\\x{E9}@b\xc3\xbc\xf0\x9f\x93\xac",
			.keyword = "ORCPT",
			.value = "utf-8;jos\\x{E9}@b\xc3\xbc\xf0\x9f\x93\xac",
			.has_value = true,
			.utf8 = true,
			.rest = "" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct span args = span_of(table[i].input);
		struct param p;
		CHECK(param_take(&args, &p) == PARAM_ONE);
		CHECK_SPAN(p.keyword, table[i].keyword);
		CHECK_SPAN(p.value, table[i].value);
		CHECK(p.has_value == table[i].has_value);
		CHECK(p.utf8 == table[i].utf8);
		CHECK_SPAN(args, table[i].rest);
	}
}

struct invalid {
	struct span input;
	struct span shown;
};

static void test_refuses_the_rest_and_shows_it(void)
{
	static const struct invalid table[] = {
		{ .input = { "=", 1 }, .shown = { "=", 1 } },
		{ .input = { "=1", 2 }, .shown = { "=1", 2 } },
		{ .input = { "SIZE= 1", 7 }, .shown = { "SIZE=", 5 } },
		{ .input = { " A=b=c d", 8 }, .shown = { "A=b=c", 5 } },
		{ .input = { "-A", 2 }, .shown = { "-A", 2 } },
		{ .input = { "A_B", 3 }, .shown = { "A_B", 3 } },
		{ .input = { "A=\xe4", 3 }, .shown = { "A=\xe4", 3 } },
		{ .input = { "A=b\xc3 c", 6 }, .shown = { "A=b\xc3", 4 } },
		{ .input = { "A=\xc0\xbd", 4 }, .shown = { "A=\xc0\xbd", 4 } },
		{ .input = { "A=\xed\xa0\x80", 5 }, .shown = { "A=\xed\xa0\x80", 5 } },
		{ .input = { "A=\xc2\x85", 4 }, .shown = { "A=\xc2\x85", 4 } },
		{ .input = { "A=é=", 5 }, .shown = { "A=é=", 5 } },
		{ .input = { "é=A", 4 }, .shown = { "é=A", 4 } },
		{ .input = { "Aé", 3 }, .shown = { "Aé", 3 } },
		{ .input = { "A=\x7f", 3 }, .shown = { "A=\x7f", 3 } },
		{ .input = { "A=\r", 3 }, .shown = { "A=\r", 3 } },
		{ .input = { "A\0B", 3 }, .shown = { "A\0B", 3 } },
		{ .input = { "A=\0", 3 }, .shown = { "A=\0", 3 } },
		{ .input = { "<a@b>", 5 }, .shown = { "<a@b>", 5 } },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct span args = table[i].input;
		struct param p = { 0 };
		CHECK(param_take(&args, &p) == PARAM_SYNTAX);
		CHECK(span_eq(p.keyword, table[i].shown));
	}
}

static void test_ends(void)
{
	static const char *const table[] = { "", " ", " \t " };

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct span args = span_of(table[i]);
		struct param p = { .keyword = SPAN("untouched") };
		CHECK(param_take(&args, &p) == PARAM_END);
		CHECK_SPAN(p.keyword, "untouched");
	}
}

static void test_takes_all_of_a_list(void)
{
	struct span args = SPAN(" A B=1  C=2\tD ");
	struct param p;
	size_t n = 0;

	while (param_take(&args, &p) == PARAM_ONE)
		n++;
	CHECK(n == 4);
	CHECK(param_take(&args, &p) == PARAM_END);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_takes_one_parameter),
		TEST(test_refuses_the_rest_and_shows_it),
		TEST(test_ends),
		TEST(test_takes_all_of_a_list),
	};

	return test_main(tests, TEST_COUNT(tests));
}
