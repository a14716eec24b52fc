/* SPDX-License-Identifier: ISC */
/* base/buf: a capacity is never exceeded, and the overflow flag stays set. */
#include "base/buf.h"
#include "base/num.h"
#include "unit/test.h"

static void test_appends_in_order(void)
{
	char octets[32];
	struct buf b = BUF(octets);

	buf_put_str(&b, "abc");
	buf_put(&b, SPAN("d\0e"));
	buf_put_char(&b, '-');
	buf_put_num(&b, 0);
	buf_put_num(&b, 42);
	buf_put_num_wide(&b, 7, 2);
	buf_put_num_wide(&b, 1234, 2);
	CHECK(span_eq(buf_span(&b), SPAN("abcd\0e-042071234")));
	CHECK(buf_room(&b) == sizeof(octets) - b.n);
	CHECK(!b.overflow);
}

static void test_takes_exactly_its_capacity(void)
{
	char octets[4];
	struct buf b = BUF(octets);

	buf_put(&b, SPAN("abcd"));
	CHECK(!b.overflow && buf_room(&b) == 0);
	buf_put(&b, SPAN(""));
	CHECK(!b.overflow);
	buf_put_char(&b, 'e');
	CHECK(b.overflow);
	CHECK_SPAN(buf_span(&b), "abcd");
}

static void test_what_does_not_fit_whole_is_not_appended(void)
{
	char octets[] = { '.', '.', '.', '.', '.', '.' };
	struct buf b = { .p = octets, .cap = 4 };

	buf_put(&b, SPAN("abc"));
	buf_put(&b, SPAN("de"));
	CHECK(b.overflow);
	CHECK_SPAN(buf_span(&b), "abc");
	CHECK(memcmp(octets, "abc...", 6) == 0);
}

static void test_overflow_is_sticky(void)
{
	char octets[4];
	struct buf b = BUF(octets);

	buf_put(&b, SPAN("abcde"));
	buf_put_char(&b, 'f');
	buf_put_num(&b, 1);
	CHECK(b.overflow && b.n == 0);
	CHECK(!buf_terminate(&b));
}

static void test_takes_the_greatest_number(void)
{
	char octets[NUM_MAX];
	struct buf b = BUF(octets);

	buf_put_num(&b, UINT64_MAX);
	CHECK(!b.overflow);
	CHECK_SPAN(buf_span(&b), "18446744073709551615");
	b.n = 0;
	buf_put_num_wide(&b, 5, NUM_MAX);
	CHECK_SPAN(buf_span(&b), "00000000000000000005");
}

static void test_terminates_without_counting(void)
{
	char octets[4];
	struct buf b = BUF(octets);

	buf_put(&b, SPAN("abc"));
	CHECK(buf_terminate(&b));
	CHECK(b.n == 3 && octets[3] == '\0');
	buf_put_char(&b, 'd');
	CHECK(!b.overflow);
	CHECK(!buf_terminate(&b));
}

static void test_takes_an_empty_span_without_a_pointer(void)
{
	struct buf b = { 0 };

	buf_put(&b, (struct span){ 0 });
	buf_put_str(&b, NULL);
	CHECK(b.n == 0 && !b.overflow);
	buf_put_char(&b, 'x');
	CHECK(b.overflow);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_appends_in_order),
		TEST(test_takes_exactly_its_capacity),
		TEST(test_what_does_not_fit_whole_is_not_appended),
		TEST(test_overflow_is_sticky),
		TEST(test_takes_the_greatest_number),
		TEST(test_terminates_without_counting),
		TEST(test_takes_an_empty_span_without_a_pointer),
	};

	return test_main(tests, TEST_COUNT(tests));
}
