/* SPDX-License-Identifier: ISC */
/* edge/idn/names: the module is loaded only when it is needed, and only then its absence is a fault. */
#include <stdlib.h>
#include "edge/idn/idn.h"
#include "edge/log/log.h"
#include "edge/module.h"
#include "unit/test.h"

static const char *directory;

static enum names_result ask(struct idn_names *n, struct buf *to)
{
	return n->names.domain(&n->names, SPAN("bücher.example"), to);
}

static void test_loads_when_it_is_first_asked(void)
{
	char octets[64];
	struct buf b = BUF(octets);
	struct log log;
	struct idn_names n;

	log_init(&log, NULL, true);
	idn_names_init(&n, directory, &log);
	CHECK(!n.api);
	CHECK(ask(&n, &b) == NAMES_FINE && n.api);
	CHECK_SPAN(buf_span(&b), "xn--bcher-kva.example");
	b.n = 0;
	CHECK(n.names.local(&n.names, SPAN("JOSÉ"), &b) == NAMES_FINE);
	CHECK_SPAN(buf_span(&b), "josé");
	CHECK(!log_is_pending(&log));
	log_done(&log);
}

static enum names_result lent(struct span text, struct buf *to)
{
	(void)text;
	buf_put(to, SPAN("lent"));
	return NAMES_FINE;
}

static void test_what_is_lent_is_used(void)
{
	static const struct idn_api api = { .domain = lent, .local = lent };
	char octets[64];
	struct buf b = BUF(octets);
	struct idn_names n;

	idn_names_init(&n, "/nonexistent", NULL);
	idn_names_lend(&n, &api);
	CHECK(ask(&n, &b) == NAMES_FINE);
	CHECK_SPAN(buf_span(&b), "lent");
}

/* The sentence is in each. */
static size_t count_records(const struct log *log)
{
	static const char told[] = "/nonexistent/idn.so:";
	size_t n = 0;

	for (size_t i = 0; i + sizeof(told) <= log->n_pending; i++)
		n += memcmp(log->pending + i, told, sizeof(told) - 1) == 0;
	return n;
}

/* A missing module is logged once; functions of another module can be used later. */
static void test_a_missing_module_is_told_when_it_is_needed(void)
{
	char octets[64];
	struct buf b = BUF(octets);
	struct log log;
	struct idn_names n;

	log_init(&log, NULL, true);
	idn_names_init(&n, "/nonexistent", &log);
	CHECK(!log_is_pending(&log));
	for (size_t i = 0; i < 3; i++) {
		CHECK(ask(&n, &b) == NAMES_UNAVAILABLE);
		CHECK(n.names.local(&n.names, SPAN("é"), &b) == NAMES_UNAVAILABLE);
		CHECK(count_records(&log) == 1);
	}
	CHECK(b.n == 0);
	idn_names_lend(&n, &(struct idn_api){ .domain = lent, .local = lent });
	CHECK(ask(&n, &b) == NAMES_FINE);
	log.n_pending = 0;
	log_done(&log);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_loads_when_it_is_first_asked),
		TEST(test_what_is_lent_is_used),
		TEST(test_a_missing_module_is_told_when_it_is_needed),
	};
	char *path = getenv("POSTERN_IDN_MODULE"),
	     *slash = path ? strrchr(path, '/') : NULL;

	if (!slash)
		return 99;
	*slash = '\0';
	directory = path;
	return test_main(tests, TEST_COUNT(tests));
}
