/* SPDX-License-Identifier: ISC */
/* tools/status/count: each record within the time counts once, and no more records than necessary are read. */
#include "tools/status/count.h"
#include <unistd.h>
#include "base/cleanup.h"
#include "proto/received.h"
#include "unit/test.h"

#define NOW 1796116087
#define HOUR 3600

static char path[] = "/tmp/status.XXXXXX";

/* `members` of a record of so many seconds ago. */
static void put(FILE *to, int64_t ago, const char *members)
{
	char octets[64];
	struct buf b = BUF(octets);

	timestamp_put(&b, NOW - ago, 0);
	fprintf(to, "{\"time\":\"%.*s\",%s}\n", (int)b.n, b.p, members);
}

static struct status_counts *count(const struct status_filter *filter, int64_t since,
	size_t n, uint64_t *ret_visited)
{
	struct status_counts *c = malloc(sizeof(*c));
	struct status_source *source;

	REQUIRE(c && status_file_open(path, &source) == 0);
	REQUIRE(status_count(source, filter, (struct status_span){ since, INT64_MAX }, n,
			c) == 0);
	*ret_visited = source->n_visited;
	source->ops->free(source);
	return c;
}

static uint64_t number_of(const struct status_tallies *t, const char *text)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->list[i].text, text) == 0)
			return t->list[i].n;
	return 0;
}

#define SESSION "\"event\":\"session\",\"end\":\"quit\",\"messages\":0"
#define MESSAGE "\"event\":\"message\""
#define PIPE(box, outcome, waiting)                                                      \
	"\"event\":\"pipe\",\"mailbox\":\"" box "\",\"outcome\":\"" outcome              \
	"\",\"waiting\":" #waiting
#define LOGIN "\"event\":\"auth\",\"level\":\"warning\""
#define REASON(text) ",\"reason\":\"" text "\""
#define STATUS(text) ",\"level\":\"warning\",\"status\":\"" text "\""
#define ANY ((1U << RECORD_EVENTS) - 1)

static void write_log(void)
{
	FILE *to = fopen(path, "w");

	REQUIRE(to);
	put(to, 9 * HOUR, SESSION ",\"peer\":\"192.0.2.9\"");
	put(to, 3 * HOUR, SESSION ",\"peer\":\"192.0.2.8\"" STATUS("old"));
	put(to, 2 * HOUR, MESSAGE ",\"outcome\":\"delivered\",\"size\":1000000");
	/* later ones that are older, by less than a minute */
	put(to, HOUR - 1, SESSION ",\"tls\":\"TLS1.2\",\"peer\":\"192.0.2.1\"");
	put(to, HOUR + 30, SESSION ",\"tls\":\"TLS1.0\"");
	put(to, 600,
		MESSAGE ",\"outcome\":\"delivered\",\"size\":17,\"peer\":\"192.0.2.1\"");
	put(to, 590,
		MESSAGE ",\"outcome\":\"delivered\",\"size\":25" REASON("550 5.1.1 No"));
	put(to, 580,
		MESSAGE ",\"outcome\":\"refused\",\"size\":999" REASON("552 5.3.4 Big"));
	put(to, 570,
		MESSAGE ",\"outcome\":\"given-up\",\"refused\":3" REASON("550 5.1.1 No"));
	put(to, 565, MESSAGE ",\"outcome\":\"checked\"");
	put(to, 560,
		SESSION ",\"tls\":\"TLS1.3\",\"transactions\":4,\"refused\":5,"
			"\"refused_commands\":2" REASON("503 5.5.1 Not now"));
	put(to, 550,
		SESSION ",\"peer\":\"2001:db8::1\",\"refused_commands\":1" REASON(
			"530 5.7.0 First"));
	put(to, 540,
		SESSION ",\"tls_error\":\"bad\",\"peer\":\"192.0.2.7\"" STATUS("SSL"));
	put(to, 530, "\"event\":\"error\",\"level\":\"error\",\"text\":\"one\"");
	put(to, 520, "\"event\":\"error\",\"level\":\"error\",\"text\":\"two\"");
	put(to, 510, LOGIN ",\"outcome\":\"failed\"" REASON("535 5.7.8 No"));
	put(to, 500, LOGIN ",\"outcome\":\"refused\"" REASON("504 5.5.4 No"));
	put(to, 490, LOGIN ",\"outcome\":\"failed\"" REASON("535 5.7.8 No"));
	put(to, 80, PIPE("/a", "failed", 7) REASON("exit status 1"));
	put(to, 70, PIPE("/b", "done", 0));
	put(to, 60, PIPE("/a", "later", 3) REASON("exit status 75"));
	put(to, 50, PIPE("/a", "done", 2));
	put(to, 10, SESSION ",\"tls\":\"TLS1.3\",\"peer\":\"192.0.2.1\"");
	REQUIRE(fclose(to) == 0);
}

static void test_counts_the_time_and_keeps_the_newest(void)
{
	const struct status_filter filter = { .events = ANY };
	uint64_t visited;
	OWNED struct status_counts *c = count(&filter, NOW - HOUR, 3, &visited);

	CHECK(c->n_sessions == 5 && c->n_messages == 5 && c->n_errors == 2);
	CHECK(c->n_failed_logins == 2);
	REQUIRE(c->n_pipes == 2);
	CHECK(strcmp(c->pipes[0].mailbox, "/a") == 0 && c->pipes[0].waiting == 2);
	CHECK(c->pipes[0].done == 1 && c->pipes[0].failed == 1);
	CHECK_SPAN(span_of(c->pipes[0].reason), "exit status 75");
	CHECK(c->pipes[1].done == 1 && c->pipes[1].failed == 0 && !c->pipes[1].reason[0]);
	CHECK(c->outcomes[STATUS_DELIVERED] == 2);
	CHECK(c->outcomes[STATUS_REFUSED] == 1);
	CHECK(c->outcomes[STATUS_GIVEN_UP] == 1);
	CHECK(c->outcomes[STATUS_CHECKED] == 1);
	CHECK(c->octets == 17 + 25);
	CHECK(c->versions.n == 4 && number_of(&c->versions, "TLS1.3") == 2);
	CHECK_SPAN(span_of(c->versions.list[0].text), "TLS1.3");
	CHECK(number_of(&c->versions, "TLS1.2") == 1);
	CHECK(number_of(&c->versions, STATUS_TLS_NONE) == 1);
	CHECK(number_of(&c->versions, STATUS_TLS_FAILED) == 1);
	CHECK(c->reasons.n == 6 && number_of(&c->reasons, "550 5.1.1 No") == 1 + 3);
	CHECK(number_of(&c->reasons, "503 5.5.1 Not now") == 2);
	CHECK(number_of(&c->reasons, "535 5.7.8 No") == 2);
	CHECK(number_of(&c->reasons, "504 5.5.4 No") == 1);
	CHECK(number_of(&c->reasons, "552 5.3.4 Big") == 1);
	CHECK_SPAN(span_of(c->reasons.list[0].text), "550 5.1.1 No");
	CHECK(number_of(&c->reasons, "530 5.7.0 First") == 1);
	CHECK(c->statuses.n == 1 && c->has_status && c->has_error);
	CHECK_SPAN(status_record_get(&c->status, RECORD_PEER), "192.0.2.7");
	CHECK_SPAN(status_record_get(&c->error, RECORD_SENTENCE), "two");
	CHECK(c->n_kept == 3 && c->newest == NOW - 10);
	CHECK(c->kept[0].record.when.seconds == NOW - 10);
	CHECK(c->kept[2].record.when.seconds == NOW - 550);
	/* one record beyond the time is read, to find the limit */
	CHECK(visited == 21);
}

static void test_sessions_are_found_beyond_the_time(void)
{
	const struct status_filter filter = { .events = ANY };
	uint64_t visited;
	OWNED struct status_counts *c = count(&filter, NOW - 60, 7, &visited);

	CHECK(c->n_sessions == 1 && c->n_messages == 0 && !c->has_status);
	CHECK(c->n_kept == 7 && visited == 22);
	CHECK_SPAN(status_record_get(&c->kept[6], RECORD_PEER), "192.0.2.8");
}

static void test_a_filter_is_of_peers_and_events(void)
{
	struct status_filter filter = { .events = ANY, .has_peer = true };
	uint64_t visited;
	struct status_counts *c;

	REQUIRE(!network_parse(SPAN("192.0.2.0/30"), &filter.peer));
	c = count(&filter, NOW - HOUR, 9, &visited);
	CHECK(c->n_sessions == 2 && c->n_messages == 1 && c->n_kept == 2);
	free(c);
	REQUIRE(!network_parse(SPAN("2001:DB8::1"), &filter.peer));
	c = count(&filter, NOW - HOUR, 0, &visited);
	CHECK(c->n_sessions == 1 && c->n_messages == 0 && c->n_kept == 0);
	free(c);
	filter = (struct status_filter){ .events = 1U << RECORD_MESSAGE };
	c = count(&filter, NOW - HOUR, 0, &visited);
	CHECK(c->n_sessions == 0 && c->n_messages == 5 && c->n_errors == 0);
	free(c);
}

/* However many there are, memory has an end, and sums do not wrap. */
static void test_all_that_is_counted_has_an_end(void)
{
	const struct status_filter filter = { .events = ANY };
	FILE *to = fopen(path, "w");
	struct status_counts *c;
	uint64_t visited;
	char members[128];

	REQUIRE(to);
	for (unsigned i = 0; i < STATUS_TALLIES_MAX + 5; i++) {
		snprintf(members, sizeof(members),
			SESSION ",\"refused_commands\":1,\"reason\":\"550 5.1.1 No %u\"",
			i);
		put(to, 60, members);
	}
	for (unsigned i = 0; i < 3; i++)
		put(to, 50,
			MESSAGE
			",\"outcome\":\"delivered\",\"size\":9223372036854775807");
	REQUIRE(fclose(to) == 0);
	c = count(&filter, NOW - HOUR, SIZE_MAX, &visited);
	CHECK(c->reasons.n == STATUS_TALLIES_MAX && c->reasons.n_others == 5);
	CHECK(c->n_kept == STATUS_SESSIONS_MAX);
	CHECK(c->octets == UINT64_MAX);
	free(c);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_counts_the_time_and_keeps_the_newest),
		TEST(test_sessions_are_found_beyond_the_time),
		TEST(test_a_filter_is_of_peers_and_events),
		TEST(test_all_that_is_counted_has_an_end),
	};
	int r, fd = mkstemp(path);

	REQUIRE(fd >= 0 && close(fd) == 0);
	write_log();
	r = test_main(tests, TEST_COUNT(tests));
	unlink(path);
	return r;
}
