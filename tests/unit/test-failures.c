/* SPDX-License-Identifier: ISC */
/* bin/failures: each source has counts of its own, which decrease with time and are not removed by other sources. */
#include "bin/failures.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "unit/test.h"

#define MINUTE UINT64_C(60000)
#define START (1000 * MINUTE) /* the clock of a machine that has run for a while */

static const struct failure_limits limits = { .most = { 20, 300, 3 },
	.time = 10 * MINUTE };

static struct ip address(const char *text)
{
	struct ip ip;

	REQUIRE(ip_parse(span_of(text), &ip));
	return ip;
}

static struct failures *none(void)
{
	struct failures *f = calloc(1, sizeof(*f));

	REQUIRE(f);
	f->key = UINT64_C(0x0123456789abcdef);
	return f;
}

static void add(
	struct failures *f, const char *text, enum failure kind, size_t n, uint64_t now)
{
	struct ip ip = address(text);

	failures_add(f, &limits, &ip, kind, n, now);
}

static size_t count(
	const struct failures *f, const char *text, enum failure kind, uint64_t now)
{
	struct ip ip = address(text);

	return failures_count(f, &limits, &ip, kind, now);
}

static enum failure exceeded(const struct failures *f, const char *text, uint64_t now)
{
	struct ip ip = address(text);

	return failures_exceeded(f, &limits, &ip, now);
}

static void test_a_source_at_its_limit_is_found(void)
{
	struct failures *f = none();

	add(f, "192.0.2.1", FAILURE_LOGIN, 19, START);
	CHECK(exceeded(f, "192.0.2.1", START) == FAILURES);
	add(f, "192.0.2.1", FAILURE_LOGIN, 1, START);
	CHECK(exceeded(f, "192.0.2.1", START) == FAILURE_LOGIN);
	CHECK(exceeded(f, "192.0.2.2", START) == FAILURES);
	free(f);
}

static void test_kinds_are_counted_apart(void)
{
	struct failures *f = none();

	add(f, "192.0.2.1", FAILURE_LOGIN, 19, START);
	add(f, "192.0.2.1", FAILURE_RECIPIENT, 299, START);
	add(f, "192.0.2.1", FAILURE_CRASH, 2, START);
	CHECK(exceeded(f, "192.0.2.1", START) == FAILURES);
	CHECK(count(f, "192.0.2.1", FAILURE_LOGIN, START) == 19);
	CHECK(count(f, "192.0.2.1", FAILURE_RECIPIENT, START) == 299);
	add(f, "192.0.2.1", FAILURE_CRASH, 1, START);
	CHECK(exceeded(f, "192.0.2.1", START) == FAILURE_CRASH);
	free(f);
}

/* 20 in 10 minutes: one in 30 seconds. */
static void test_failures_are_forgotten_evenly(void)
{
	struct failures *f = none();

	add(f, "192.0.2.1", FAILURE_LOGIN, 20, START);
	CHECK(exceeded(f, "192.0.2.1", START + MINUTE / 2 - 1) == FAILURE_LOGIN);
	CHECK(exceeded(f, "192.0.2.1", START + MINUTE / 2) == FAILURES);
	CHECK(count(f, "192.0.2.1", FAILURE_LOGIN, START + 5 * MINUTE) == 10);
	CHECK(count(f, "192.0.2.1", FAILURE_LOGIN, START + 10 * MINUTE) == 0);
	free(f);
}

/* More than the limit is not held against a source for longer than the time. */
static void test_what_is_above_the_limit_is_not_kept(void)
{
	struct failures *f = none();

	add(f, "192.0.2.1", FAILURE_LOGIN, SIZE_MAX, START);
	add(f, "192.0.2.1", FAILURE_LOGIN, 1000, START);
	CHECK(count(f, "192.0.2.1", FAILURE_LOGIN, START) == 20);
	CHECK(exceeded(f, "192.0.2.1", START + MINUTE / 2) == FAILURES);
	CHECK(count(f, "192.0.2.1", FAILURE_LOGIN, START + 10 * MINUTE) == 0);
	free(f);
}

static void test_ipv6_counts_by_its_first_64_bits(void)
{
	struct failures *f = none();

	add(f, "2001:db8:1:2::1", FAILURE_LOGIN, 10, START);
	add(f, "2001:db8:1:2:ffff::9", FAILURE_LOGIN, 10, START);
	CHECK(exceeded(f, "2001:db8:1:2::77", START) == FAILURE_LOGIN);
	CHECK(exceeded(f, "2001:db8:1:3::1", START) == FAILURES);
	/* the same octets in another family */
	add(f, "1.2.3.4", FAILURE_LOGIN, 20, START);
	CHECK(exceeded(f, "102:304::1", START) == FAILURES);
	free(f);
}

static void test_a_limit_of_0_counts_nothing(void)
{
	const struct failure_limits off = { .time = MINUTE };
	struct failures *f = none();
	struct ip ip = address("192.0.2.1");

	failures_add(f, &off, &ip, FAILURE_LOGIN, 1000, START);
	CHECK(failures_exceeded(f, &off, &ip, START) == FAILURES);
	CHECK(failures_count(f, &off, &ip, FAILURE_LOGIN, START) == 0);
	CHECK(exceeded(f, "192.0.2.1", START) == FAILURES);
	free(f);
}

static void test_a_client_without_an_address_is_not_counted(void)
{
	const struct ip unknown = { 0 };
	struct failures *f = none();

	failures_add(f, &limits, &unknown, FAILURE_LOGIN, 1000, START);
	CHECK(failures_exceeded(f, &limits, &unknown, START) == FAILURES);
	free(f);
}

/* `n` networks of 64 bits, as one attacker has in its /48. */
static void fail_from_networks(struct failures *f, size_t n, size_t each, uint64_t now)
{
	for (size_t i = 0; i < n; i++) {
		struct ip ip = { .n = IPV6_OCTETS,
			.octets = { 0x20, 1, 0xd, 0xb8, 0, 7, (unsigned char)(i >> 8),
				(unsigned char)i } };
		failures_add(f, &limits, &ip, FAILURE_LOGIN, each, now);
	}
}

static void test_failures_of_other_sources_push_out_no_source_at_its_limit(void)
{
	struct failures *f = none();

	add(f, "192.0.2.1", FAILURE_LOGIN, 20, START);
	fail_from_networks(f, 65536, 1, START);
	CHECK(exceeded(f, "192.0.2.1", START) == FAILURE_LOGIN);
	fail_from_networks(f, 65536, 20, START);
	CHECK(exceeded(f, "192.0.2.1", START) == FAILURE_LOGIN);
	/* and when all is forgotten, others find room again */
	add(f, "192.0.2.9", FAILURE_LOGIN, 20, START + 10 * MINUTE);
	CHECK(exceeded(f, "192.0.2.9", START + 10 * MINUTE) == FAILURE_LOGIN);
	free(f);
}

static void test_half_forgotten_failures_make_room(void)
{
	struct failures *f = none();

	fail_from_networks(f, 65536, 20, START);
	add(f, "192.0.2.9", FAILURE_LOGIN, 20, START + 4 * MINUTE);
	CHECK(exceeded(f, "192.0.2.9", START + 4 * MINUTE) == FAILURES);
	add(f, "192.0.2.9", FAILURE_LOGIN, 20, START + 5 * MINUTE);
	CHECK(exceeded(f, "192.0.2.9", START + 5 * MINUTE) == FAILURE_LOGIN);
	free(f);
}

struct link_lab {
	struct failures *table;
	struct failure_link link;
	int other; /* the acceptor's end */
};

static void lab_begin(struct link_lab *lab)
{
	int ends[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
	lab->table = none();
	lab->other = ends[0];
	lab->link = (struct failure_link){ .table = lab->table, .channel = ends[1] };
}

static void lab_end(struct link_lab *lab)
{
	close(lab->other);
	close(lab->link.channel);
	free(lab->table);
}

/* A report that has arrived. False: there is none. */
static bool received(const struct link_lab *lab, struct failure_report *ret)
{
	return recv(lab->other, ret, sizeof(*ret), MSG_DONTWAIT) == sizeof(*ret);
}

static void test_a_report_has_what_is_new(void)
{
	struct ip ip = address("192.0.2.1");
	struct failure_report r;
	struct link_lab lab;

	lab_begin(&lab);
	CHECK(failure_link_begin(&lab.link, &limits, &ip, false, START));
	CHECK(!received(&lab, &r));
	failure_link_report(&lab.link, (size_t[FAILURES]){ 1, 0, 0 }, false);
	REQUIRE(received(&lab, &r));
	CHECK(r.n[FAILURE_LOGIN] == 1 && r.n[FAILURE_RECIPIENT] == 0 && r.client.n == 0);
	failure_link_report(&lab.link, (size_t[FAILURES]){ 1, 5, 0 }, false);
	REQUIRE(received(&lab, &r));
	CHECK(r.n[FAILURE_LOGIN] == 0 && r.n[FAILURE_RECIPIENT] == 5);
	lab_end(&lab);
}

static void test_a_client_that_a_proxy_names_is_reported_first(void)
{
	struct ip ip = address("2001:db8::5");
	struct failure_report r;
	struct link_lab lab;

	lab_begin(&lab);
	CHECK(failure_link_begin(&lab.link, &limits, &ip, true, START));
	REQUIRE(received(&lab, &r));
	CHECK(r.client.n == IPV6_OCTETS && memcmp(&r.client, &ip, sizeof(ip)) == 0);
	/* and again with failures, because the first report may have been lost */
	failure_link_report(&lab.link, (size_t[FAILURES]){ 1, 0, 0 }, false);
	REQUIRE(received(&lab, &r));
	CHECK(r.n[FAILURE_LOGIN] == 1 && memcmp(&r.client, &ip, sizeof(ip)) == 0);
	lab_end(&lab);
}

static void test_a_source_is_judged_after_each_failure_and_each_pause(void)
{
	const size_t one[FAILURES] = { 1, 0, 0 }, two[FAILURES] = { 1, 1, 0 };
	struct ip ip = address("192.0.2.1");
	struct link_lab lab;

	lab_begin(&lab);
	failure_link_begin(&lab.link, &limits, &ip, false, START);
	CHECK(failure_link_report(&lab.link, one, true));
	CHECK(failure_link_report(&lab.link, one, false));
	CHECK(!failure_link_report(&lab.link, one, false));
	CHECK(failure_link_report(&lab.link, two, false));
	CHECK(!failure_link_report(&lab.link, two, false));
	lab_end(&lab);
}

static void test_no_session_begins_when_its_source_is_at_a_limit(void)
{
	struct ip ip = address("192.0.2.1");
	struct link_lab lab;

	lab_begin(&lab);
	CHECK(failure_link_begin(&lab.link, &limits, &ip, false, START));
	add(lab.table, "192.0.2.1", FAILURE_RECIPIENT, 300, START);
	CHECK(!failure_link_begin(&lab.link, &limits, &ip, false, START));
	lab_end(&lab);
}

/* The acceptor may have ended, or may be slow: nothing waits for it. */
static void test_reports_are_bounded_and_never_wait(void)
{
	struct ip ip = address("192.0.2.1");
	struct failure_report r;
	struct link_lab lab;
	size_t n = 0, sent = 0;

	lab_begin(&lab);
	failure_link_begin(&lab.link, &limits, &ip, false, START);
	for (size_t i = 1; i <= 2 * FAILURE_REPORTS_MAX; i++) {
		failure_link_report(&lab.link, (size_t[FAILURES]){ i, 0, 0 }, false);
		if (i % 16 == 0)
			while (received(&lab, &r))
				n++, sent += r.n[FAILURE_LOGIN];
	}
	CHECK(n == FAILURE_REPORTS_MAX && sent == FAILURE_REPORTS_MAX);
	close(lab.other);
	lab.link.n_sent = 0;
	failure_link_report(&lab.link, (size_t[FAILURES]){ 9999, 0, 0 }, false);
	lab_end(&lab);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_source_at_its_limit_is_found),
		TEST(test_kinds_are_counted_apart),
		TEST(test_failures_are_forgotten_evenly),
		TEST(test_what_is_above_the_limit_is_not_kept),
		TEST(test_ipv6_counts_by_its_first_64_bits),
		TEST(test_a_limit_of_0_counts_nothing),
		TEST(test_a_client_without_an_address_is_not_counted),
		TEST(test_failures_of_other_sources_push_out_no_source_at_its_limit),
		TEST(test_half_forgotten_failures_make_room),
		TEST(test_a_report_has_what_is_new),
		TEST(test_a_client_that_a_proxy_names_is_reported_first),
		TEST(test_a_source_is_judged_after_each_failure_and_each_pause),
		TEST(test_no_session_begins_when_its_source_is_at_a_limit),
		TEST(test_reports_are_bounded_and_never_wait),
	};

	return test_main(tests, TEST_COUNT(tests));
}
