/* SPDX-License-Identifier: ISC */
/* base/num: decimal numbers that never wrap. */
#include "base/num.h"
#include "unit/test.h"

struct valid {
	struct span text;
	uint64_t value;
};

static void test_reads_digits(void)
{
	static const struct valid table[] = {
		{ .text = { "0", 1 }, .value = 0 },
		{ .text = { "1", 1 }, .value = 1 },
		{ .text = { "007", 3 }, .value = 7 },
		{ .text = { "10240000", 8 }, .value = 10240000 },
		{ .text = { "18446744073709551615", 20 }, .value = UINT64_MAX },
		{ .text = { "00000000000000000000", 20 }, .value = 0 },
		{ .text = { "123456", 3 }, .value = 123 },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		uint64_t value = 99;
		CHECK(num_parse(table[i].text, &value));
		CHECK(value == table[i].value);
	}
}

static void test_refuses_all_else(void)
{
	static const struct span table[] = {
		{ NULL, 0 },
		{ "", 0 },
		{ "-1", 2 },
		{ "+1", 2 },
		{ " 1", 2 },
		{ "1 ", 2 },
		{ "0x1", 3 },
		{ "1.0", 3 },
		{ "1\0002", 3 },
		{ "\xb2", 1 },
		{ "/", 1 },
		{ ":", 1 },
		{ "18446744073709551616", 20 },
		{ "18446744073709551620", 20 },
		{ "99999999999999999999", 20 },
		{ "000000000000000000001", 21 },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		uint64_t value = 99;
		CHECK(!num_parse(table[i], &value));
		CHECK(value == 99);
	}
}

static void test_writes_what_it_reads(void)
{
	uint64_t value = 1;

	for (unsigned i = 0; i < 64; i++) {
		char digits[NUM_MAX];
		uint64_t again;
		size_t n = num_format(value - 1, digits);
		CHECK(n >= 1 && n <= NUM_MAX);
		CHECK(num_parse((struct span){ digits, n }, &again) &&
			again == value - 1);
		CHECK(n == 1 || digits[0] != '0');
		value *= 2;
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_reads_digits),
		TEST(test_refuses_all_else),
		TEST(test_writes_what_it_reads),
	};

	return test_main(tests, TEST_COUNT(tests));
}
