/* SPDX-License-Identifier: ISC */
/* edge/store/hangs: a broker for which requests wait is seen, with its place, and only that. */
#include "edge/store/hangs.h"
#include <string.h>
#include <unistd.h>
#include "edge/net/net.h"
#include "edge/settings/settings.h"
#include "edge/store/mailbox-walk.h"
#include "unit/test.h"

static struct hang_mark mark_of(struct hangs *h, const char *base)
{
	return (struct hang_mark){ h, hangs_take(h), base, .device = 1 };
}

static uint64_t later(void)
{
	return stream_clock() + HANG_TIME + 1;
}

static void test_a_broker_hangs_when_requests_wait_for_a_time(void)
{
	struct hangs *h = hangs_new();
	const struct hang_mark m = mark_of(h, "");
	const struct hang_mark at_outbox = { h, m.place, "/dsn-outbox", 0 };
	char text[2 * MAILBOX_PATH_MAX] = "", longest[MAILBOX_PATH_MAX] = "";
	struct buf b = BUF(text);

	hang_own(&m);
	CHECK(!hangs_has(h, m.place, later()));
	hang_begin(&m, stream_clock());
	CHECK(!hangs_has(h, m.place, stream_clock()));
	CHECK(hangs_has(h, m.place, later()) && hangs_count(h, later()) == 1);
	CHECK(hang_step(&m, "far/alice", 0) == 0);
	hangs_put(h, m.place, 1, later(), &b);
	CHECK(strstr(text, ", that of far/alice (below mail-root); another"));
	CHECK(hang_step(&at_outbox, "report", 0) == 0);
	b.n = 0;
	hangs_put(h, m.place, 1, later(), &b);
	CHECK(strstr(text, ", that of dsn-outbox/report; another"));
	b.n = 0;
	hangs_put(h, m.place, HANGS_MAX, later(), &b);
	CHECK(strstr(text, "no other is started"));
	memset(longest, 'x', sizeof(longest) - 1);
	CHECK(hang_step(&m, longest, 0) == 0);
	b.n = 0;
	hangs_put(h, m.place, 1, later(), &b);
	CHECK(!b.overflow && b.n < CONFIG_FAULT_MAX && strstr(text, "xx (below"));
	hang_end(&m);
	CHECK(hangs_count(h, later()) == 0);
	b.n = 0;
	hangs_put(h, m.place, 1, later(), &b);
	CHECK(!strstr(text, "that of"));
}

static void test_what_was_never_begun_or_does_not_exist_does_not_hang(void)
{
	struct hangs *h = hangs_new();

	CHECK(!hangs_has(NULL, 0, later()) && hangs_count(NULL, later()) == 0);
	CHECK(hangs_take(NULL) == -1);
	for (int place = -1; place < 1000; place += 100)
		CHECK(!hangs_has(h, place, later()));
	CHECK(hang_step(NULL, "far", 0) == 0);
	hang_begin(NULL, stream_clock());
	hang_end(NULL);
}

static void test_many_slow_steps_are_a_hang_as_one_is(void)
{
	struct hangs *h = hangs_new();
	const struct hang_mark slow = mark_of(h, ""), other = mark_of(h, "");

	hang_own(&slow);
	hang_own(&other);
	/* the request before took all the time */
	hang_begin(&slow, stream_clock() - HANG_TIME);
	CHECK(hangs_has(h, slow.place, stream_clock()));
	CHECK(hang_step(&slow, "far/alice", 2) == 0);
	CHECK(hangs_has(h, slow.place, stream_clock()));
	hang_begin(&other, stream_clock());
	CHECK(hang_step(&other, "near/bob", 1) == 0);
	CHECK(hang_step(&other, "far/alice", 0) == -HANG_HERE);
	CHECK(hang_step(&other, "far/alice/new", 0) == -HANG_HERE);
	CHECK(hang_step(&other, "far/bob", 2) == -HANG_HERE);
	CHECK(hang_step(&other, "far/bob", 0) == 0);
	hang_end(&slow);
	CHECK(hang_step(&other, "far/alice", 2) == 0);
}

static void test_there_are_so_many_places_and_each_comes_back(void)
{
	struct hangs *h = hangs_new();
	int n = 0, place;
	struct hang_mark m;

	while ((place = hangs_take(h)) >= 0) {
		CHECK(place == n);
		n++;
	}
	CHECK(n > HANGS_MAX);
	hangs_give_back(h, 3);
	m = mark_of(h, "");
	CHECK(m.place == 3);
	hang_own(&m);
	hang_begin(&m, stream_clock());
	hangs_forget(h, getpid());
	CHECK(!hangs_has(h, 3, later()) && hangs_take(h) == 3);
	hangs_give_back(h, n);
	hangs_give_back(h, -1);
	CHECK(hangs_take(h) == -1);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_broker_hangs_when_requests_wait_for_a_time),
		TEST(test_many_slow_steps_are_a_hang_as_one_is),
		TEST(test_what_was_never_begun_or_does_not_exist_does_not_hang),
		TEST(test_there_are_so_many_places_and_each_comes_back),
	};

	return test_main(tests, TEST_COUNT(tests));
}
