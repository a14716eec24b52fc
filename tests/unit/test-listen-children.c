/* SPDX-License-Identifier: ISC */
/* bin/listen/children: no source can take all places, and each connection counts as long as its process exists. */
#include "bin/listen/acceptor.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "unit/test.h"

#define KEEPER 1000 /* whose children they are */

static struct ip address(const char *text)
{
	struct ip ip;

	return ip_parse(span_of(text), &ip) ? ip : (struct ip){ 0 };
}

static struct listen_children *none(void)
{
	int fd;
	struct listen_children *c = listen_children_new(&fd);

	REQUIRE(c);
	return c;
}

static enum listen_verdict try(struct listen_children *c,
	const struct listen_limits *limits, const char *text, uint64_t minute)
{
	struct ip ip = address(text), source = listen_source(&ip);
	enum listen_verdict v = listen_judge(c, limits, &source, false, minute);

	if (v == LISTEN_FINE)
		listen_add(c, KEEPER, (pid_t)(c->n_so_far + 1), &source, false);
	return v;
}

static void test_all_together_have_a_limit(void)
{
	const struct listen_limits limits = { .all = 2 };
	struct listen_children *c = none();

	CHECK(try(c, &limits, "192.0.2.1", 0) == LISTEN_FINE);
	CHECK(try(c, &limits, "192.0.2.2", 0) == LISTEN_FINE);
	CHECK(try(c, &limits, "192.0.2.3", 0) == LISTEN_FULL);
	CHECK(listen_remove(c, 1, 0));
	CHECK(!listen_remove(c, 1, 0));
	CHECK(try(c, &limits, "192.0.2.3", 0) == LISTEN_FINE);
}

static void test_a_source_has_a_limit_of_its_own(void)
{
	const struct listen_limits limits = { .all = 100, .of_source = 2 };
	struct listen_children *c = none();

	CHECK(try(c, &limits, "192.0.2.1", 0) == LISTEN_FINE);
	CHECK(try(c, &limits, "192.0.2.1", 0) == LISTEN_FINE);
	CHECK(try(c, &limits, "192.0.2.1", 0) == LISTEN_SOURCE_FULL);
	CHECK(try(c, &limits, "192.0.2.2", 0) == LISTEN_FINE);
	CHECK(listen_remove(c, 2, 0));
	CHECK(try(c, &limits, "192.0.2.1", 0) == LISTEN_FINE);
}

/* A host has a whole network of 64 bits, and takes any address in it. */
static void test_ipv6_counts_by_its_network(void)
{
	const struct listen_limits limits = { .all = 100, .of_source = 1, .rate = 0 };
	struct listen_children *c = none();

	CHECK(try(c, &limits, "2001:db8::1", 0) == LISTEN_FINE);
	CHECK(try(c, &limits, "2001:db8::2:3:4:5", 0) == LISTEN_SOURCE_FULL);
	CHECK(try(c, &limits, "2001:db8:0:1::1", 0) == LISTEN_FINE);
	CHECK(try(c, &limits, "::ffff:192.0.2.1", 0) == LISTEN_FINE);
	CHECK(try(c, &limits, "192.0.2.1", 0) == LISTEN_SOURCE_FULL);
}

static void test_a_source_may_be_too_fast(void)
{
	const struct listen_limits limits = { .all = 100, .rate = 3 };
	struct listen_children *c = none();

	for (size_t i = 0; i < 3; i++)
		CHECK(try(c, &limits, "192.0.2.1", 7) == LISTEN_FINE);
	CHECK(try(c, &limits, "192.0.2.1", 7) == LISTEN_SOURCE_FAST);
	CHECK(try(c, &limits, "192.0.2.2", 7) == LISTEN_FINE);
	CHECK(try(c, &limits, "192.0.2.1", 8) == LISTEN_FINE);
}

/* Sources are counted apart, whichever of them come in turn. */
static void test_two_sources_do_not_reset_each_other(void)
{
	const struct listen_limits limits = { .all = 100, .rate = 5 };
	struct listen_children *c = none();

	for (size_t i = 0; i < 5; i++) {
		CHECK(try(c, &limits, "127.0.0.2", 7) == LISTEN_FINE);
		CHECK(try(c, &limits, "127.0.10.188", 7) == LISTEN_FINE);
	}
	CHECK(try(c, &limits, "127.0.0.2", 7) == LISTEN_SOURCE_FAST);
	CHECK(try(c, &limits, "127.0.10.188", 7) == LISTEN_SOURCE_FAST);
}

/* More than are counted: each of the others has fewer connections. */
static void test_a_fast_source_is_not_forgotten_for_many_others(void)
{
	const struct listen_limits limits = { .all = SIZE_MAX, .rate = 3 };
	struct listen_children *c = none();

	for (size_t i = 0; i < 3; i++)
		CHECK(try(c, &limits, "192.0.2.1", 7) == LISTEN_FINE);
	for (unsigned i = 0; i < 20000; i++) {
		struct ip ip = { .n = IPV4_OCTETS,
			.octets = { 10, (unsigned char)(i >> 8), (unsigned char)i, 1 } };
		CHECK(listen_judge(c, &limits, &ip, false, 7) == LISTEN_FINE);
	}
	CHECK(try(c, &limits, "192.0.2.1", 7) == LISTEN_SOURCE_FAST);
}

static void test_proxies_and_local_sockets_have_no_limits_of_their_own(void)
{
	const struct listen_limits limits = { .all = 5, .of_source = 1, .rate = 1 };
	struct listen_children *c = none();
	struct ip local = { 0 }, proxy = address("192.0.2.10");

	for (pid_t pid = 1; pid <= 4; pid++) {
		const struct ip *source = pid % 2 ? &local : &proxy;
		CHECK(listen_judge(c, &limits, source, pid % 2 == 0, 0) == LISTEN_FINE);
		listen_add(c, KEEPER, pid, source, false);
	}
	listen_add(c, KEEPER, 5, &local, false);
	CHECK(listen_judge(c, &limits, &proxy, true, 0) == LISTEN_FULL);
}

/* More sources than are counted: that may forgive, and never refuses wrongly. */
static void test_many_sources_are_never_refused_for_each_other(void)
{
	const struct listen_limits limits = { .all = SIZE_MAX, .rate = 2 };
	struct listen_children *c = none();

	for (unsigned i = 0; i < 20000; i++) {
		struct ip ip = { .n = IPV4_OCTETS,
			.octets = { 10, (unsigned char)(i >> 8), (unsigned char)i, 1 } };
		CHECK(listen_judge(c, &limits, &ip, false, 0) == LISTEN_FINE);
	}
}

/* They count for a successor, too. */
static void test_children_of_two_keepers_count_together(void)
{
	const struct listen_limits limits = { .all = 3, .of_source = 2 };
	struct listen_children *c = none();
	struct ip ip = address("192.0.2.1");

	listen_add(c, KEEPER, 1, &ip, false);
	listen_add(c, KEEPER + 1, 2, &ip, false);
	CHECK(listen_count(c) == 2);
	CHECK(listen_judge(c, &limits, &ip, false, 0) == LISTEN_SOURCE_FULL);
	CHECK(listen_remove(c, 1, 0));
	CHECK(listen_judge(c, &limits, &ip, false, 0) == LISTEN_FINE);
	CHECK(!listen_remove(c, 1, 0));
	CHECK(listen_remove(c, 2, 0));
}

static pid_t fork_waiting(void)
{
	pid_t pid = fork();

	while (pid == 0)
		pause();
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* An acceptor may end at any moment, also between waitpid() and listen_remove(). */
static void test_a_connection_counts_while_it_or_its_keeper_is_a_child(void)
{
	struct listen_children *c = none();
	struct ip ip = address("192.0.2.1");
	pid_t keeper = fork_waiting(), connection = fork_waiting(), gone = fork_waiting();

	listen_add(c, keeper, gone, &ip, false);
	listen_add(c, keeper, connection, &ip, false);
	end(gone);
	listen_verify(c);
	CHECK(listen_count(c) == 2); /* the keeper takes it out */
	end(keeper);
	listen_verify(c);
	CHECK(listen_count(c) == 1);
	kill(connection, SIGKILL);
	listen_verify(c);
	end(connection);
	listen_verify(c);
	CHECK(listen_count(c) == 0);
}

static void test_the_table_goes_over_to_another_image(void)
{
	struct ip ip = address("192.0.2.1");
	int fd = -1;
	struct listen_children *c = listen_children_new(&fd), *other;

	REQUIRE(c);
	listen_add(c, KEEPER, 1, &ip, false);
	other = listen_children_reuse(fd);
	REQUIRE(other);
	CHECK(other != c && listen_count(other) == 1);
	CHECK(ftruncate(fd, 0) < 0);
	CHECK(!listen_children_reuse(STDIN_FILENO));
	CHECK(!listen_children_reuse(-1));
}

/* It is written by a process that has fewer rights. */
static void test_no_value_of_the_table_leads_out_of_it(void)
{
	struct listen_children *c = none();
	struct ip ip = address("192.0.2.1");
	const struct listen_limits limits = {
		.all = SIZE_MAX, .of_source = 5, .rate = 5
	};

	c->last = 0xffffff;
	CHECK(listen_last_topic(c) == TOPIC_SESSION);
	c->n_used = SIZE_MAX;
	CHECK(listen_count(c) == 0);
	listen_add(c, KEEPER, 1, &ip, false);
	c->list[0].source.n = SIZE_MAX;
	c->list[0].pid = -7;
	c->list[0].keeper = -7;
	for (size_t i = 0; i < LISTEN_RATE_SETS * LISTEN_RATE_WAYS; i++)
		c->rates[i / LISTEN_RATE_WAYS][i % LISTEN_RATE_WAYS] =
			(struct listen_rate){ .source.n = SIZE_MAX, .n = 1 };
	CHECK(listen_judge(c, &limits, &ip, false, 0) == LISTEN_FINE);
	listen_verify(c);
	CHECK(listen_count(c) == 0);
}

/* The status of an end that is a topic's, whichever process has waited for it. */
static void test_an_end_counts_by_its_topic(void)
{
	const int end = (LISTEN_STATUS + TOPIC_TLS_FAILED) << 8;
	const int check = (LISTEN_STATUS + TOPIC_PROXY_CHECK) << 8;
	struct listen_children *c = none();
	struct ip ip = address("192.0.2.1");

	c->last = TOPIC_SESSION;
	for (pid_t pid = 1; pid <= 4; pid++)
		listen_add(c, KEEPER, pid, &ip, false);
	CHECK(listen_remove(c, 1, check));
	CHECK(c->n_checks == 1 && listen_last_topic(c) == TOPIC_SESSION);
	CHECK(listen_remove(c, 2, end));
	CHECK(c->n_checks == 1 && listen_last_topic(c) == TOPIC_TLS_FAILED);
	CHECK(listen_remove(c, 3, SIGKILL));
	CHECK(listen_remove(c, 4, (LISTEN_STATUS + TOPICS) << 8));
	CHECK(!listen_remove(c, 5, check));
	CHECK(c->n_checks == 1 && listen_last_topic(c) == TOPIC_TLS_FAILED);
}

static void test_several_processes_may_add_at_once(void)
{
	enum { PROCESSES = 4, EACH = 500 };
	struct listen_children *c = none();
	struct ip ip = address("192.0.2.1");

	for (int i = 0; i < PROCESSES; i++) {
		if (fork() > 0)
			continue;
		for (int n = 0; n < EACH; n++)
			listen_add(c, KEEPER, 1 + i * EACH + n, &ip, false);
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++)
		waitpid(-1, NULL, 0);
	CHECK(listen_count(c) == PROCESSES * EACH);
	for (int i = 0; i < PROCESSES * EACH; i++)
		CHECK(listen_remove(c, 1 + i, 0));
}

static void test_they_are_counted_in_shared_memory_that_can_be_hidden(void)
{
	struct listen_children *c = none();
	struct ip ip = address("192.0.2.1");
	unsigned char is_there;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		pid_t connection;
		listen_add(c, KEEPER, 1, &ip, false);
		listen_children_hide(c);
		connection = fork();
		if (connection == 0)
			_exit(mincore(c, 1, &is_there) < 0 ? 0 : 1);
		waitpid(connection, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(listen_count(c) == 1);
}

static const struct failure_limits failures = { .most = { 2, 10, 2 }, .time = 60000 };

#define NOW 5000000 /* milliseconds */

static enum failure failed(struct listen_children *c, const char *text)
{
	struct ip ip = address(text);

	return failures_exceeded(listen_failures(c), &failures, &ip, NOW);
}

static void report(
	struct listen_children *c, pid_t pid, const char *client, uint32_t logins)
{
	const struct failure_report r = {
		.client = client ? address(client) : (struct ip){ 0 }, .n = { logins }
	};

	listen_count_report(c, pid, &r, &failures, NOW);
}

static void test_a_connection_accuses_its_own_source_alone(void)
{
	struct ip ip = address("192.0.2.1");
	struct listen_children *c = none();

	listen_add(c, KEEPER, 1, &ip, false);
	report(c, 1, "192.0.2.66", 2);
	report(c, 2, NULL, 2); /* not a connection */
	CHECK(failed(c, "192.0.2.66") == FAILURES);
	CHECK(failed(c, "192.0.2.1") == FAILURE_LOGIN);
}

static void test_behind_a_proxy_the_first_named_client_is_accused(void)
{
	struct ip proxy = address("192.0.2.25");
	struct listen_children *c = none();

	listen_add(c, KEEPER, 1, &proxy, true);
	report(c, 1, NULL, 2); /* before a client is named */
	report(c, 1, "198.51.100.7", 0);
	report(c, 1, "198.51.100.66", 2);
	CHECK(failed(c, "192.0.2.25") == FAILURES);
	CHECK(failed(c, "198.51.100.66") == FAILURES);
	CHECK(failed(c, "198.51.100.7") == FAILURE_LOGIN);
	listen_count_crash(c, 1, &failures, NOW);
	listen_count_crash(c, 1, &failures, NOW);
	listen_remove(c, 1, 0);
	listen_count_crash(c, 1, &failures, NOW);
	CHECK(failed(c, "192.0.2.25") == FAILURES);
	/* the next connection of that process number has named no client */
	listen_add(c, KEEPER, 1, &proxy, true);
	report(c, 1, "198.51.100.9", 2);
	CHECK(failed(c, "198.51.100.9") == FAILURE_LOGIN);
}

static void test_crashes_are_counted(void)
{
	struct ip ip = address("192.0.2.1");
	struct listen_children *c = none();

	listen_add(c, KEEPER, 1, &ip, false);
	listen_count_crash(c, 1, &failures, NOW);
	CHECK(failed(c, "192.0.2.1") == FAILURES);
	listen_count_crash(c, 1, &failures, NOW);
	CHECK(failed(c, "192.0.2.1") == FAILURE_CRASH);
}

static void test_wrong_reports_are_not_counted(void)
{
	struct ip ip = address("192.0.2.1"), proxy = address("192.0.2.25");
	struct failure_report r = { .client = { .n = 9999 }, .n = { 1, 1, 9999 } };
	struct listen_children *c = none();

	listen_add(c, KEEPER, 1, &ip, false);
	listen_add(c, KEEPER, 2, &proxy, true);
	listen_count_report(c, 2, &r, &failures, NOW); /* no such address */
	CHECK(failed(c, "192.0.2.25") == FAILURES && failed(c, "192.0.2.1") == FAILURES);
	listen_count_report(c, 1, &r, &failures, NOW); /* crashes are not its to report */
	CHECK(failed(c, "192.0.2.1") == FAILURES);
	r.n[FAILURE_LOGIN] = FAILURE_REPORTED_MAX + 1;
	listen_count_report(c, 1, &r, &failures, NOW);
	CHECK(failed(c, "192.0.2.1") == FAILURES);
	for (size_t i = 0; i < FAILURE_REPORTS_MAX; i++)
		report(c, 1, NULL, 0);
	report(c, 1, NULL, 2); /* one more than a connection may send */
	CHECK(failed(c, "192.0.2.1") == FAILURES);
}

static void test_connections_see_failures_and_cannot_change_them(void)
{
	struct ip ip = address("192.0.2.1");
	int fd;
	struct listen_children *c = listen_children_new(&fd);
	const struct failures *view = listen_failures_view(fd);

	REQUIRE(c && view);
	failures_add(listen_failures(c), &failures, &ip, FAILURE_LOGIN, 2, NOW);
	CHECK(failures_exceeded(view, &failures, &ip, NOW) == FAILURE_LOGIN);
	CHECK(mprotect((void *)view, sizeof(*view), PROT_READ | PROT_WRITE) < 0);
}

static void test_failures_go_over_to_another_image(void)
{
	struct ip ip = address("192.0.2.1");
	int fd;
	struct listen_children *c = listen_children_new(&fd);

	REQUIRE(c);
	failures_add(listen_failures(c), &failures, &ip, FAILURE_CRASH, 2, NOW);
	c = listen_children_reuse(fd);
	REQUIRE(c);
	CHECK(failed(c, "192.0.2.1") == FAILURE_CRASH);
}

/* Ten sources at their limit would take all; from 80 % on each may have fewer. */
static void test_sources_with_many_connections_are_refused_first(void)
{
	const struct listen_limits limits = { .all = 100, .of_source = 10 };
	struct listen_children *c = none();
	size_t n = 0;
	char text[16];

	for (size_t turn = 0; turn < 10; turn++)
		for (int i = 1; i <= 10; i++) {
			snprintf(text, sizeof(text), "192.0.2.%d", i);
			n += try(c, &limits, text, 0) == LISTEN_FINE;
		}
	CHECK(n > 80 && n < 100);
	CHECK(try(c, &limits, "192.0.2.1", 0) == LISTEN_SOURCE_FULL);
	/* a source with no connection gets in as long as there is a place */
	for (; n < 100; n++) {
		snprintf(text, sizeof(text), "198.51.100.%zu", n);
		CHECK(try(c, &limits, text, 0) == LISTEN_FINE);
	}
	CHECK(try(c, &limits, "198.51.100.1", 0) == LISTEN_FULL);
}

static void test_a_crowd_is_noted(void)
{
	struct ip ip = address("192.0.2.1");
	struct listen_children *c = none();

	for (pid_t pid = 1; pid <= 79; pid++)
		listen_add(c, KEEPER, pid, &ip, false);
	listen_note_crowd(c, 100);
	CHECK(!listen_failures(c)->is_crowded);
	listen_add(c, KEEPER, 80, &ip, false);
	listen_note_crowd(c, 100);
	CHECK(listen_failures(c)->is_crowded);
	listen_remove(c, 80, 0);
	listen_note_crowd(c, 100);
	CHECK(!listen_failures(c)->is_crowded);
	/* an acceptor with another limit accepts, and a connection of an earlier one ends */
	listen_note_crowd(c, 50);
	CHECK(listen_failures(c)->is_crowded);
	listen_remove(c, 79, 0);
	listen_note_crowd(c, 0);
	CHECK(listen_failures(c)->is_crowded);
	listen_note_crowd(c, 1000);
	listen_remove(c, 78, 0);
	listen_note_crowd(c, 0);
	CHECK(!listen_failures(c)->is_crowded);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_all_together_have_a_limit),
		TEST(test_a_source_has_a_limit_of_its_own),
		TEST(test_ipv6_counts_by_its_network),
		TEST(test_a_source_may_be_too_fast),
		TEST(test_two_sources_do_not_reset_each_other),
		TEST(test_a_fast_source_is_not_forgotten_for_many_others),
		TEST(test_proxies_and_local_sockets_have_no_limits_of_their_own),
		TEST(test_many_sources_are_never_refused_for_each_other),
		TEST(test_children_of_two_keepers_count_together),
		TEST(test_a_connection_counts_while_it_or_its_keeper_is_a_child),
		TEST(test_the_table_goes_over_to_another_image),
		TEST(test_no_value_of_the_table_leads_out_of_it),
		TEST(test_an_end_counts_by_its_topic),
		TEST(test_several_processes_may_add_at_once),
		TEST(test_they_are_counted_in_shared_memory_that_can_be_hidden),
		TEST(test_a_connection_accuses_its_own_source_alone),
		TEST(test_behind_a_proxy_the_first_named_client_is_accused),
		TEST(test_crashes_are_counted),
		TEST(test_wrong_reports_are_not_counted),
		TEST(test_connections_see_failures_and_cannot_change_them),
		TEST(test_failures_go_over_to_another_image),
		TEST(test_sources_with_many_connections_are_refused_first),
		TEST(test_a_crowd_is_noted),
	};

	return test_main(tests, TEST_COUNT(tests));
}
