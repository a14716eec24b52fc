/* SPDX-License-Identifier: ISC */
/*
 * Reads and shows times. A time is valid as a whole or refused. Local time has the same
 * form in every locale.
 */
#include "tools/status/time.h"
#include <stdio.h>
#include <time.h>
#include "base/num.h"
#include "proto/conf.h"

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)
#define AGO_MAX (100 * 365 * (uint64_t)DAY) /* seconds; clocks may be before 1970 */
#define UNITS "smhdw"
#define STAMP "dddd-dd-ddTdd:dd:dd.dddddd"

/* True when the text matches `pattern`: "d" is a digit, other octets are literal. */
static bool has_form(struct span text, const char *pattern)
{
	if (text.n != strlen(pattern))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (pattern[i] == 'd' ? c < '0' || c > '9' : c != pattern[i])
			return false;
	}
	return true;
}

static int number_at(struct span text, size_t at, size_t n)
{
	uint64_t number = 0;

	if (at + n <= text.n)
		num_parse((struct span){ text.p + at, n }, &number);
	return (int)number;
}

/* Returns the day, and the parts of a time that are given. */
static struct tm fields_of(struct span text)
{
	return (struct tm){
		.tm_year = number_at(text, 0, 4) - 1900,
		.tm_mon = number_at(text, 5, 2) - 1,
		.tm_mday = number_at(text, 8, 2),
		.tm_hour = number_at(text, 11, 2),
		.tm_min = number_at(text, 14, 2),
		.tm_sec = number_at(text, 17, 2),
		.tm_isdst = -1,
	};
}

#define DAYS_TO_1970 719468 /* from March 1 of the year 0 */
#define DAYS_OF_400_YEARS 146097

/*
 * Returns days since 1970-01-01 in the proleptic Gregorian calendar; month 12 is January.
 */
static int64_t days_to(int year, int month, int day)
{
	/* years that begin in March, and 400 more, so that none is negative */
	int64_t y = year + (month < 2 ? 399 : 400);
	int m = (month + 10) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 -
	       DAYS_TO_1970 - DAYS_OF_400_YEARS;
}

/* Like timegm(), also with a time_t of 32 bits. */
static int64_t utc_seconds(const struct tm *tm)
{
	int64_t days = days_to(tm->tm_year + 1900, tm->tm_mon, tm->tm_mday);
	int64_t minutes = (days * 24 + tm->tm_hour) * 60 + tm->tm_min;

	return minutes * 60 + tm->tm_sec;
}

/* False for dates such as February 30. */
static bool is_of_calendar(const struct tm *tm)
{
	int year = tm->tm_year + 1900;

	return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday > 0 &&
	       days_to(year, tm->tm_mon, tm->tm_mday) <
		       days_to(year, tm->tm_mon + 1, 1) &&
	       tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

bool status_time_read(struct span text, struct moment *ret)
{
	struct tm tm;

	if (!has_form(text, STAMP "Z"))
		return false;
	tm = fields_of(text);
	if (!is_of_calendar(&tm))
		return false;
	*ret = (struct moment){
		.seconds = utc_seconds(&tm),
		.microseconds = (uint32_t)number_at(text, 20, 6),
	};
	return true;
}

static bool read_ago(struct span text, int64_t now, int64_t *ret)
{
	static const uint64_t factors[] = { 1, MINUTE, HOUR, DAY, WEEK };
	uint64_t seconds;

	if (text.n < 2 || !strchr(UNITS, ascii_lower(text.p[text.n - 1])))
		return false;
	if (!conf_quantity(text, UNITS, factors, &seconds) || seconds == 0 ||
		seconds > AGO_MAX)
		return false;
	*ret = now - (int64_t)seconds;
	return true;
}

/* Returns mktime() for summer or winter time; -1: clocks never show that time. */
static time_t local_as(const struct tm *wanted, int is_dst)
{
	struct tm tm = *wanted;
	time_t at;

	tm.tm_isdst = is_dst;
	at = mktime(&tm);
	return tm.tm_isdst == is_dst && tm.tm_hour == wanted->tm_hour &&
			       tm.tm_min == wanted->tm_min
		       ? at
		       : -1;
}

/* Returns the moment at which clocks were set ahead and skipped the time. */
static time_t skipped_time(const struct tm *wanted)
{
	struct tm before = *wanted, behind = *wanted, tm;
	time_t from, to;

	before.tm_isdst = 1;
	behind.tm_isdst = 0;
	from = mktime(&before);
	to = mktime(&behind);
	while (to - from > 1) {
		time_t middle = from + (to - from) / 2;
		localtime_r(&middle, &tm);
		*(tm.tm_isdst > 0 ? &to : &from) = middle;
	}
	return to;
}

/*
 * Returns a local time. Of an hour that occurs twice it is the first, so that no record
 * is left out.
 */
static time_t local_time(const struct tm *wanted)
{
	time_t summer = local_as(wanted, 1), winter = local_as(wanted, 0);

	if (summer < 0 && winter < 0)
		return skipped_time(wanted);
	return winter < 0 || (summer >= 0 && summer < winter) ? summer : winter;
}

static void midnight(int64_t now, int days, int64_t *ret)
{
	time_t at = now;
	struct tm tm;

	localtime_r(&at, &tm);
	tm.tm_mday += days;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	/* days below 1 belong to the previous month */
	mktime(&tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	*ret = local_time(&tm);
}

static bool read_day(struct span text, int64_t *ret)
{
	static const char *const forms[] = { "dddd-dd-dd", "dddd-dd-ddTdd:dd",
		"dddd-dd-dd dd:dd", "dddd-dd-ddTdd:dd:dd", "dddd-dd-dd dd:dd:dd" };
	bool utc = span_ends(text, SPAN("Z"));
	struct tm tm;

	text.n -= utc;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		if (!has_form(text, forms[i]))
			continue;
		tm = fields_of(text);
		if (!is_of_calendar(&tm))
			return false;
		/* with a 32-bit time_t local times and clock end in 2038 */
		utc |= sizeof(time_t) == 4 && tm.tm_year > 2037 - 1900;
		*ret = utc ? utc_seconds(&tm) : local_time(&tm);
		return true;
	}
	return false;
}

const char *status_time_since(const char *text, int64_t now, int64_t *ret)
{
	if (strcmp(text, "today") == 0)
		midnight(now, 0, ret);
	else if (strcmp(text, "yesterday") == 0)
		midnight(now, -1, ret);
	else if (!read_ago(span_of(text), now, ret) && !read_day(span_of(text), ret))
		return "must be a time, such as 2h, 7d, today, 2026-11-28 or "
		       "2026-11-28T09:30";
	if (*ret > now)
		return "is a time to come";
	return NULL;
}

bool status_time_is_ago(const char *text)
{
	int64_t ignored;

	return read_ago(span_of(text), INT64_MAX, &ignored);
}

/* Writes a time in a form. strftime() would use the locale's names of months. */
static void put_form(struct buf *to, const struct tm *tm, const char *form)
{
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	char text[64];

	for (; *form; form++) {
		const char one[] = { '%', *form, '\0' };

		if (*form == 'b')
			buf_put_str(to, months[tm->tm_mon]);
		else if (!strchr("YmdHMS", *form))
			buf_put_char(to, *form);
		else if (strftime(text, sizeof(text), one, tm))
			buf_put_str(to, text);
	}
}

static void put_local(struct buf *to, int64_t time, int64_t now, const char *today,
	const char *this_year, const char *else_)
{
	time_t at = time, other = now;
	struct tm tm, ref;

	if (!localtime_r(&at, &tm) || !localtime_r(&other, &ref))
		return;
	if (tm.tm_year == ref.tm_year && tm.tm_yday == ref.tm_yday)
		put_form(to, &tm, today);
	else
		put_form(to, &tm, tm.tm_year == ref.tm_year ? this_year : else_);
}

void status_time_put_short(struct buf *to, int64_t time, int64_t now)
{
	put_local(to, time, now, "H:M:S", "b d H:M", "Y-m-d");
}

void status_time_put(struct buf *to, int64_t time, int64_t now)
{
	put_local(to, time, now, "b d H:M:S", "b d H:M:S", "Y-m-d H:M");
}

void status_time_put_day(struct buf *to, int64_t time)
{
	put_local(to, time, 0, "Y-m-d", "Y-m-d", "Y-m-d");
}

void status_time_put_span(struct buf *to, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = { { DAY, "day" }, { HOUR, "hour" }, { MINUTE, "minute" },
		{ 1, "second" } };
	/* "last day" may be yesterday */
	size_t i = seconds == DAY;
	int64_t n;

	while (seconds % units[i].seconds)
		i++;
	n = seconds / units[i].seconds;
	if (n != 1) {
		buf_put_num(to, (uint64_t)n);
		buf_put_char(to, ' ');
	}
	buf_put_str(to, units[i].name);
	if (n != 1)
		buf_put_char(to, 's');
}
