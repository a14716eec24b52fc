/* SPDX-License-Identifier: ISC */
/* tools/status/time: a time is valid as a whole or refused, and has a short form according to its distance. */
#include "tools/status/time.h"
#include <time.h>
#include "unit/test.h"

#define NOW 1796116087 /* 2026-12-01T09:08:07Z, a Tuesday */
#define HOUR 3600
#define DAY (24 * HOUR)

static void test_reads_what_records_have(void)
{
	static const struct {
		const char *text;
		bool is_valid;
		int64_t seconds;
		uint32_t microseconds;
	} table[] = {
		{ "2026-12-01T09:08:07.000042Z", true, NOW, 42 },
		{ "1970-01-01T00:00:00.000000Z", true, 0, 0 },
		{ "2028-02-29T23:59:59.999999Z", true, 1835481599, 999999 },
		{ "9999-12-31T23:59:59.000000Z", true, 253402300799, 0 },
		{ .text = "2027-02-29T00:00:00.000000Z" },
		{ .text = "2026-12-32T00:00:00.000000Z" },
		{ .text = "2026-13-01T00:00:00.000000Z" },
		{ .text = "2100-02-29T00:00:00.000000Z" },
		{ .text = "2026-00-01T00:00:00.000000Z" },
		{ .text = "2026-12-01T24:00:00.000000Z" },
		{ .text = "2026-12-01T09:60:00.000000Z" },
		{ .text = "2026-12-01T09:08:07.000042" },
		{ .text = "2026-12-01T09:08:07Z" },
		{ .text = "2026-12-01 09:08:07.000042Z" },
		{ .text = "2026-12-01T09:08:07.000042ZZ" },
		{ .text = "+026-12-01T09:08:07.000042Z" },
		{ "1969-12-31T23:59:59.000000Z", true, -1, 0 },
		{ .text = "" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct moment moment = { 0 };
		bool is_valid = status_time_read(span_of(table[i].text), &moment);
		if (!CHECK(is_valid == table[i].is_valid))
			fprintf(stderr, "\t%s\n", table[i].text);
		CHECK(moment.seconds == table[i].seconds);
		CHECK(moment.microseconds == table[i].microseconds);
	}
	CHECK(!status_time_read((struct span){ NULL, 0 }, &(struct moment){ 0 }));
}

/* An hour east of Greenwich. */
static void test_since_is_long_ago_or_local_time(void)
{
	static const struct {
		const char *text;
		int64_t seconds; /* 0: is not valid */
	} table[] = {
		{ "1s", NOW - 1 },
		{ "90m", NOW - 90 * 60 },
		{ "2h", NOW - 2 * HOUR },
		{ "2H", NOW - 2 * HOUR },
		{ "7d", NOW - 7 * DAY },
		{ "2w", NOW - 14 * DAY },
		{ "today", 1796079600 },
		{ "yesterday", 1796079600 - DAY },
		{ "2026-12-01", 1796079600 },
		{ "2026-12-01T10:08", NOW - 7 },
		{ "2026-12-01 10:08", NOW - 7 },
		{ "2026-12-01T10:08:07", NOW },
		{ "2026-12-01T09:08:07Z", NOW },
		{ "2026-12-01Z", 1796083200 },
		{ .text = "" },
		{ .text = "h" },
		{ .text = "0h" },
		{ .text = "12" },
		{ .text = "1y" },
		{ .text = "-1h" },
		{ .text = "1 h" },
		{ .text = "100000000d" },
		{ .text = "99999999999999999999w" },
		{ .text = "tomorrow" },
		{ .text = "2026-12-1" },
		{ .text = "2026-02-30" },
		{ .text = "2026-12-01T" },
		{ .text = "2026-12-01T10" },
		{ .text = "2026-12-01T10:08:07+01:00" },
		{ .text = "01.12.2026" },
	};

	setenv("TZ", "CET-1", 1);
	tzset();
	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		int64_t seconds = 0;
		const char *wrong = status_time_since(table[i].text, NOW, &seconds);
		if (!CHECK(!wrong == (table[i].seconds != 0)) ||
			!CHECK(seconds == table[i].seconds))
			fprintf(stderr, "\t%s: %jd\n", table[i].text, (intmax_t)seconds);
	}
	CHECK(status_time_since("2026-12-01T10:08:08", NOW, &(int64_t){ 0 }));
	CHECK(status_time_since("9999-12-31", NOW, &(int64_t){ 0 }));
	/* the clock of a machine without a battery */
	for (int64_t now = -600; now <= 600; now += 1200) {
		int64_t seconds = 0;
		CHECK(!status_time_since("2h", now, &seconds) &&
			seconds == now - 2 * HOUR);
	}
	setenv("TZ", "UTC", 1);
	tzset();
}

/* On 2026-10-25 the hour from two to three comes twice, on 2026-03-29 never. */
static void test_an_hour_that_comes_twice_begins_the_first_time(void)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} table[] = {
		{ "2026-10-25T02:30", 1792888200 },
		{ "2026-10-25T01:30", 1792888200 - HOUR },
		{ "2026-10-25T03:30", 1792888200 + 2 * HOUR },
		{ "2026-10-25", 1792888200 - 5 * HOUR / 2 },
		{ "2026-03-29T01:30", 1774747800 - HOUR },
		{ "2026-03-29T02:00", 1774747800 - HOUR / 2 },
		{ "2026-03-29T02:30", 1774747800 - HOUR / 2 },
		{ "2026-03-29T02:59", 1774747800 - HOUR / 2 },
		{ "2026-03-29T03:30", 1774747800 },
		{ "2026-07-01T12:00", 1782900000 },
		{ "2026-11-30T12:00", 1796036400 },
	};

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	/* what was read before must not matter */
	for (size_t i = 0; i < TEST_COUNT(table) * TEST_COUNT(table); i++) {
		size_t first = i / TEST_COUNT(table), then = i % TEST_COUNT(table);
		int64_t seconds = 0;

		CHECK(!status_time_since(table[first].text, NOW, &seconds));
		CHECK(!status_time_since(table[then].text, NOW, &seconds));
		if (!CHECK(seconds == table[then].seconds))
			fprintf(stderr, "\t%s: %jd\n", table[then].text,
				(intmax_t)seconds);
	}
	setenv("TZ", "UTC", 1);
	tzset();
}

static void test_some_times_move_on(void)
{
	CHECK(status_time_is_ago("2h") && status_time_is_ago("100D"));
	CHECK(!status_time_is_ago("today") && !status_time_is_ago("yesterday"));
	CHECK(!status_time_is_ago("2026-12-01"));
}

static void check_short(int64_t time, const char *brief, const char *whole)
{
	char octets[64];
	struct buf b = BUF(octets);

	status_time_put_short(&b, time, NOW);
	CHECK_SPAN(buf_span(&b), brief);
	b.n = 0;
	status_time_put(&b, time, NOW);
	CHECK_SPAN(buf_span(&b), whole);
}

static void test_shows_what_tells_times_apart(void)
{
	check_short(NOW, "09:08:07", "Dec 01 09:08:07");
	check_short(NOW - 9 * HOUR, "00:08:07", "Dec 01 00:08:07");
	check_short(NOW - 10 * HOUR, "Nov 30 23:08", "Nov 30 23:08:07");
	check_short(NOW - 365 * DAY, "2025-12-01", "2025-12-01 09:08");
	check_short(NOW + DAY, "Dec 02 09:08", "Dec 02 09:08:07");
}

static void test_names_spans_of_time(void)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} table[] = {
		{ 1, "second" },
		{ 59, "59 seconds" },
		{ 61, "61 seconds" },
		{ 60, "minute" },
		{ 90 * 60, "90 minutes" },
		{ HOUR, "hour" },
		{ 2 * HOUR, "2 hours" },
		{ DAY, "24 hours" },
		{ 36 * HOUR, "36 hours" },
		{ 2 * DAY, "2 days" },
		{ 7 * DAY, "7 days" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char octets[64];
		struct buf b = BUF(octets);
		status_time_put_span(&b, table[i].seconds);
		CHECK_SPAN(buf_span(&b), table[i].text);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_reads_what_records_have),
		TEST(test_since_is_long_ago_or_local_time),
		TEST(test_an_hour_that_comes_twice_begins_the_first_time),
		TEST(test_some_times_move_on),
		TEST(test_shows_what_tells_times_apart),
		TEST(test_names_spans_of_time),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return test_main(tests, TEST_COUNT(tests));
}
