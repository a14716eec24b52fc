/* SPDX-License-Identifier: ISC */
/* base/span and base/cleanup: views of bytes, and ownership that is handed over. */
#include <fcntl.h>
#include "base/cleanup.h"
#include "base/span.h"
#include "unit/test.h"

static void test_compares_octets(void)
{
	CHECK(span_eq(SPAN(""), (struct span){ 0 }));
	CHECK(span_eq(SPAN("a\0b"), SPAN("a\0b")));
	CHECK(!span_eq(SPAN("a\0b"), SPAN("a\0c")));
	CHECK(!span_eq(SPAN("ab"), SPAN("abc")));
	CHECK(!span_eq(SPAN("A"), SPAN("a")));
}

static void test_ignores_case_of_ascii_alone(void)
{
	CHECK(span_ieq(SPAN("EhLo"), SPAN("eHlO")));
	CHECK(!span_ieq(SPAN("EHLO"), SPAN("EHLO ")));
	CHECK(!span_ieq(SPAN("\xc4"), SPAN("\xe4")));
	CHECK(!span_ieq(SPAN("@["), SPAN("`{")));
	for (int c = 0; c < 256; c++) {
		bool is_upper = c >= 'A' && c <= 'Z';
		CHECK(ascii_lower((char)c) == (char)(is_upper ? c + 32 : c));
	}
}

static void test_drops_a_front(void)
{
	CHECK_SPAN(span_from(SPAN("abc"), 0), "abc");
	CHECK_SPAN(span_from(SPAN("abc"), 2), "c");
	CHECK_SPAN(span_from(SPAN("abc"), 3), "");
}

static void test_knows_a_tail(void)
{
	CHECK(span_ends(SPAN("mail.example.org"), SPAN(".example.org")));
	CHECK(span_ends(SPAN("abc"), SPAN("")));
	CHECK(span_ends(SPAN("abc"), SPAN("abc")));
	CHECK(!span_ends(SPAN("abc"), SPAN("xabc")));
	CHECK(!span_ends(SPAN("abc"), SPAN("ab")));
}

static void test_trims_a_line(void)
{
	CHECK_SPAN(span_trim(SPAN(" \t a b\t \r")), "a b");
	CHECK_SPAN(span_trim(SPAN("a \r\r")), "a");
	CHECK_SPAN(span_trim(SPAN("\ra")), "\ra");
	CHECK_SPAN(span_trim(SPAN(" \r")), "");
	CHECK_SPAN(span_trim(SPAN("")), "");
}

static void test_takes_words(void)
{
	struct span rest = SPAN("one \t two\tthree");

	CHECK_SPAN(span_take_word(&rest), "one");
	CHECK_SPAN(span_take_word(&rest), "two");
	CHECK_SPAN(rest, "three");
	CHECK_SPAN(span_take_word(&rest), "three");
	CHECK_SPAN(span_take_word(&rest), "");
}

static void test_a_missing_string_is_empty(void)
{
	CHECK(span_of(NULL).n == 0);
	CHECK_SPAN(span_of("abc"), "abc");
}

static void test_steals_leave_nothing_behind(void)
{
	OWNED char *text = strdup("x");
	OWNED_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char *taken = steal(&text);
	int taken_fd = steal_fd(&fd);

	CHECK(taken && !text);
	CHECK(taken_fd >= 0 && fd == -1);
	free(taken);
	CHECK(close(taken_fd) == 0);
}

static int close_by_scope(void)
{
	OWNED_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int number = fd;

	return number;
}

static void test_an_owner_closes_at_the_end_of_its_scope(void)
{
	CHECK(fcntl(close_by_scope(), F_GETFD) == -1);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_compares_octets),
		TEST(test_ignores_case_of_ascii_alone),
		TEST(test_drops_a_front),
		TEST(test_knows_a_tail),
		TEST(test_trims_a_line),
		TEST(test_takes_words),
		TEST(test_a_missing_string_is_empty),
		TEST(test_steals_leave_nothing_behind),
		TEST(test_an_owner_closes_at_the_end_of_its_scope),
	};

	return test_main(tests, TEST_COUNT(tests));
}
