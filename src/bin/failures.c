/* SPDX-License-Identifier: ISC */
/*
 * Counts failures of sources. A count is stored as one time: when all failures of the
 * source are forgotten. A failure adds time / limit to it. Counts thus decrease evenly,
 * and a source at its limit may fail once more after each such part of the time.
 */
#include "bin/failures.h"
#include <string.h>
#include <sys/socket.h>

const char *failure_setting(enum failure kind)
{
	switch (kind) {
	case FAILURE_LOGIN:
		return "source-failed-logins";
	case FAILURE_RECIPIENT:
		return "source-refused-recipients";
	case FAILURE_CRASH:
		return "source-crashes";
	default:
		return "";
	}
}

struct failure_limits failure_limits_of(const struct config *c)
{
	return (struct failure_limits){
		.most = { c->source_failed_logins, c->source_refused_recipients,
			c->source_crashes },
		.time = c->source_failure_time * 1000,
	};
}

/*
 * Returns the significant part of an address: all of IPv4, and the first 64 bits of IPv6.
 */
static uint64_t number_of(const struct ip *ip)
{
	uint64_t number = 0;

	memcpy(&number, ip->octets, ip->n == IPV4_OCTETS ? IPV4_OCTETS : sizeof(number));
	return number;
}

static bool is_same_source(const struct ip *a, const struct ip *b)
{
	return a->n == b->n && number_of(a) == number_of(b);
}

/* Returns the set of a source, by multiply-shift with a random key. */
static size_t set_of(const struct failures *f, const struct ip *source)
{
	return number_of(source) * (f->key | 1) >> (64 - FAILURE_SETS_LOG);
}

static uint64_t left_of(const struct failure_entry *e, enum failure kind, uint64_t now)
{
	return e->until[kind] > now ? e->until[kind] - now : 0;
}

/* Returns the time until all failures of the entry are forgotten. */
static uint64_t left_of_all(const struct failure_entry *e, uint64_t now)
{
	uint64_t most = 0;

	for (enum failure kind = 0; kind < FAILURES; kind++)
		if (left_of(e, kind, now) > most)
			most = left_of(e, kind, now);
	return most;
}

static const struct failure_entry *find(const struct failures *f, const struct ip *source)
{
	const struct failure_entry *set = f->sets[set_of(f, source)];

	for (size_t i = 0; source->n && i < FAILURE_WAYS; i++)
		if (is_same_source(&set[i].source, source))
			return &set[i];
	return NULL;
}

/*
 * Returns the entry of the source, or a new one in place of the least full one; NULL:
 * none.
 */
static struct failure_entry *find_or_add(struct failures *f,
	const struct failure_limits *limits, const struct ip *source, uint64_t now)
{
	struct failure_entry *set = f->sets[set_of(f, source)], *least = set;

	for (size_t i = 0; i < FAILURE_WAYS; i++) {
		if (is_same_source(&set[i].source, source))
			return &set[i];
		if (left_of_all(&set[i], now) < left_of_all(least, now))
			least = &set[i];
	}
	if (left_of_all(least, now) > limits->time / 2)
		return NULL;
	*least = (struct failure_entry){ .source = *source };
	return least;
}

/* Returns the time that one failure adds. */
static uint64_t part_of(const struct failure_limits *limits, enum failure kind)
{
	uint64_t part = limits->time / limits->most[kind];

	return part ? part : 1;
}

void failures_add(struct failures *f, const struct failure_limits *limits,
	const struct ip *source, enum failure kind, size_t n, uint64_t now)
{
	struct failure_entry *e;
	uint64_t left, part;

	if (!n || !limits->most[kind] || !source->n)
		return;
	e = find_or_add(f, limits, source, now);
	if (!e)
		return;
	part = part_of(limits, kind);
	left = left_of(e, kind, now);
	/*
	 * failures above the limit are not counted, because the source is already refused
	 */
	if (n > limits->most[kind] || left + n * part > limits->time)
		left = limits->time;
	else
		left += n * part;
	e->until[kind] = now + left;
}

static size_t count_of(const struct failure_entry *e, const struct failure_limits *limits,
	enum failure kind, uint64_t now)
{
	uint64_t part = part_of(limits, kind);
	size_t n = (size_t)((left_of(e, kind, now) + part - 1) / part);

	return n < limits->most[kind] ? n : limits->most[kind];
}

size_t failures_count(const struct failures *f, const struct failure_limits *limits,
	const struct ip *source, enum failure kind, uint64_t now)
{
	const struct failure_entry *e = find(f, source);

	return e && limits->most[kind] ? count_of(e, limits, kind, now) : 0;
}

enum failure failures_exceeded(const struct failures *f,
	const struct failure_limits *limits, const struct ip *source, uint64_t now)
{
	const struct failure_entry *e = find(f, source);
	enum failure kind = e ? 0 : FAILURES;

	while (kind < FAILURES && (!limits->most[kind] || count_of(e, limits, kind, now) <
								  limits->most[kind]))
		kind++;
	return kind;
}

/*
 * Sends a report without waiting. Failures that were not sent are sent with the next one.
 */
static bool send_report(struct failure_link *l, const struct failure_report *report)
{
	if (!l->channel || l->n_sent >= FAILURE_REPORTS_MAX ||
		send(l->channel, report, sizeof(*report), MSG_DONTWAIT | MSG_NOSIGNAL) <
			0)
		return false;
	l->n_sent++;
	return true;
}

bool failure_link_begin(struct failure_link *l, const struct failure_limits *limits,
	const struct ip *client, bool is_named, uint64_t now)
{
	const struct failure_report report = { .client = *client };

	l->is_named = is_named;
	if (!l->table || !l->channel)
		return true;
	l->source = *client;
	if (is_named)
		send_report(l, &report);
	return failures_exceeded(l->table, limits, client, now) == FAILURES;
}

static void report_new(struct failure_link *l, const size_t n[FAILURES])
{
	struct failure_report report = { .client = { 0 } };

	if (memcmp(n, l->reported, sizeof(l->reported)) == 0)
		return;
	/* each time, because the first report may have met a full queue */
	if (l->is_named)
		report.client = l->source;
	for (enum failure kind = 0; kind < FAILURES; kind++) {
		size_t more = n[kind] - l->reported[kind];
		report.n[kind] = more < FAILURE_REPORTED_MAX ? (uint32_t)more
							     : FAILURE_REPORTED_MAX;
	}
	if (send_report(l, &report))
		memcpy(l->reported, n, sizeof(l->reported));
}

bool failure_link_report(
	struct failure_link *l, const size_t n[FAILURES], bool is_judged_later)
{
	size_t all = 0;
	bool is_due;

	report_new(l, n);
	for (enum failure kind = 0; kind < FAILURES; kind++)
		all += n[kind];
	is_due = all != l->n_judged;
	if (!is_judged_later)
		l->n_judged = all;
	return is_due;
}
