/* SPDX-License-Identifier: ISC */
/* bin/listen/listener: the interval of restarts grows, and is reset after a quiet time. */
#include "bin/listen/listener.h"
#include "unit/test.h"

static const struct restart_terms terms = { .least = 100, .most = 800, .quiet = 5000 };
static const struct restart_terms lenient = {
	.n_free = 3,
	.least = 100,
	.most = 800,
	.quiet = 5000,
};

static void test_the_interval_doubles_up_to_a_maximum(void)
{
	static const uint64_t intervals[] = { 100, 200, 400, 800, 800, 800 };
	struct restarts r = { 0 };
	uint64_t now = 1;

	CHECK(restart_wait(&r, &terms, now) == 0);
	for (size_t i = 0; i < sizeof(intervals) / sizeof(*intervals); i++) {
		restart_note(&r, &terms, now);
		CHECK(restart_wait(&r, &terms, now) == intervals[i]);
		CHECK(restart_wait(&r, &terms, now + 1) == intervals[i] - 1);
		now += intervals[i];
		CHECK(restart_wait(&r, &terms, now) == 0);
	}
}

static void test_all_begins_anew_after_a_quiet_while(void)
{
	struct restarts r = { 0 };

	for (uint64_t now = 1; now < 4000; now += 800)
		restart_note(&r, &terms, now);
	CHECK(r.interval == 800);
	r.is_recorded = true;
	CHECK(restart_wait(&r, &terms, r.last + 5000) == 0);
	restart_note(&r, &terms, r.last + 5000);
	CHECK(r.interval == 100 && r.n == 1 && !r.is_recorded);
}

static void test_some_are_free(void)
{
	struct restarts r = { 0 };

	for (size_t i = 0; i < 3; i++) {
		CHECK(restart_wait(&r, &lenient, 7) == 0);
		restart_note(&r, &lenient, 7);
	}
	CHECK(restart_wait(&r, &lenient, 7) == 0);
	restart_note(&r, &lenient, 7);
	CHECK(restart_wait(&r, &lenient, 7) == 100);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_the_interval_doubles_up_to_a_maximum),
		TEST(test_all_begins_anew_after_a_quiet_while),
		TEST(test_some_are_free),
	};

	return test_main(tests, TEST_COUNT(tests));
}
