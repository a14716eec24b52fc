/* SPDX-License-Identifier: ISC */
/* proto/conf: the lines of a clients file. */
#include "proto/conf.h"
#include "unit/test.h"

static void check_rule(const char *line, const struct rule *want)
{
	struct rule rule = { .line = 99 };
	struct rule_fault fault = { .what = "untouched" };
	char octets[IP_TEXT_MAX];
	struct buf b = BUF(octets);

	if (!CHECK(rule_parse(span_of(line), &rule, &fault) == RULE_FINE))
		fprintf(stderr, "\t%s: %s\n", line, fault.what);
	CHECK(span_eq(rule.deny, span_of(want->deny.p)));
	CHECK(span_eq(rule.priority, span_of(want->priority.p)));
	CHECK(rule.tls == want->tls);
	CHECK(rule.proxy == want->proxy);
	CHECK(rule.no_dsn == want->no_dsn);
	CHECK(rule.unfiltered == want->unfiltered);
	CHECK(rule.network.prefix == want->network.prefix);
	ip_put(&b, &rule.network.ip);
	CHECK_SPAN(buf_span(&b), "192.0.2.0");
	CHECK(strcmp(fault.what, "untouched") == 0);
}

#define NET24 .network.prefix = 24

static void test_a_line_says_what_holds_for_a_network(void)
{
	static const struct {
		const char *line;
		struct rule want;
	} cases[] = {
		{ "192.0.2.0/24", { NET24 } },
		{ " \t192.0.2.0/24 \t\r", { NET24 } },
		{ "192.0.2.0", { .network.prefix = 32 } },
		{ "192.0.2.0/24 proxy", { NET24, .proxy = true } },
		{ "192.0.2.0/24 tls=off", { NET24, .tls = RULE_TLS_OFF } },
		{ "192.0.2.0/24\ttls=on", { NET24, .tls = RULE_TLS_ON } },
		{ "192.0.2.0/24 tls=required", { NET24, .tls = RULE_TLS_REQUIRED } },
		{ "192.0.2.0/24 tls=ssl", { NET24, .tls = RULE_TLS_REQUIRED } },
		{ "192.0.2.0/24 tls-priority=NORMAL:+VERS-TLS1.0:%COMPAT=x",
			{ NET24, .priority = { "NORMAL:+VERS-TLS1.0:%COMPAT=x", 0 } } },
		{ "192.0.2.0/24 tls-priority=NORMAL \t tls=on  proxy",
			{ NET24, .tls = RULE_TLS_ON, .priority = { "NORMAL", 0 },
				.proxy = true } },
		{ "192.0.2.0/24 dsn=off", { NET24, .no_dsn = true } },
		{ "192.0.2.0/24 proxy dsn=off",
			{ NET24, .no_dsn = true, .proxy = true } },
		{ "192.0.2.0/24 milters=off", { NET24, .unfiltered = true } },
		{ "192.0.2.0/24 milters=off tls=off dsn=off",
			{ NET24, .unfiltered = true, .no_dsn = true,
				.tls = RULE_TLS_OFF } },
		{ "192.0.2.0/24 deny no", { NET24, .deny = { "no", 0 } } },
		{ "192.0.2.0/24 deny  No mail from you; # see https://example.org/  \r",
			{ NET24, .deny = { "No mail from you; # see https://example.org/",
					 0 } } },
		{ "192.0.2.0/24 deny proxy tls=off",
			{ NET24, .deny = { "proxy tls=off", 0 } } },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		check_rule(cases[i].line, &cases[i].want);
}

static void test_blank_lines_and_comments_say_nothing(void)
{
	static const char *const cases[] = { "", " ", "\t \r", "#", "# 192.0.2.0/24",
		"  #192.0.2.0/24 deny x" };

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct rule rule = { .line = 99 };
		struct rule_fault fault = { .what = "untouched" };
		CHECK(rule_parse(span_of(cases[i]), &rule, &fault) == RULE_BLANK);
		CHECK(rule.line == 99);
		CHECK(strcmp(fault.what, "untouched") == 0);
	}
}

static void test_what_is_wrong_is_told_with_its_word(void)
{
	static const struct {
		const char *line, *word, *what;
	} cases[] = {
		{ "proxy 192.0.2.0/24", "proxy", "is not a network" },
		{ "192.0.2.1/24 proxy", "192.0.2.1/24", "has bits set" },
		{ "192.0.2.0/24, proxy", "192.0.2.0/24,", "has a prefix" },
		{ "192.0.2.0/24 192.0.3.0/24", "192.0.3.0/24", "is not deny, dsn=" },
		{ "192.0.2.0/24 proxy # why", "#", "is not deny, dsn=" },
		{ "192.0.2.0/24 Proxy", "Proxy", "is not deny, dsn=" },
		{ "192.0.2.0/24 proxy=yes", "proxy=yes", "is not deny, dsn=" },
		{ "192.0.2.0/24 deny=x", "deny=x", "is not deny, dsn=" },
		{ "192.0.2.0/24 tls", "tls", "is not deny, dsn=" },
		{ "192.0.2.0/24 =", "=", "is not deny, dsn=" },
		{ "192.0.2.0/24 tls=", "tls=", "must be tls=off, tls=on" },
		{ "192.0.2.0/24 tls=implicit", "tls=implicit", "must be tls=off" },
		{ "192.0.2.0/24 tls=ON", "tls=ON", "must be tls=off, tls=on" },
		{ "192.0.2.0/24 tls-priority=", "tls-priority=", "must be a priority" },
		{ "192.0.2.0/24 tls-priority=\x01", "tls-priority=\x01",
			"must be a priority" },
		{ "192.0.2.0/24 dsn", "dsn", "is not deny, dsn=" },
		{ "192.0.2.0/24 dsn=", "dsn=", "must be dsn=off" },
		{ "192.0.2.0/24 dsn=on", "dsn=on", "must be dsn=off" },
		{ "192.0.2.0/24 milters", "milters", "is not deny, dsn=, milters=" },
		{ "192.0.2.0/24 milters=", "milters=", "must be milters=off" },
		{ "192.0.2.0/24 milters=on", "milters=on", "must be milters=off" },
		{ "192.0.2.0/24 milters=off milters=off", "milters=off",
			"is given twice" },
		{ "192.0.2.0/24 milters=off deny x", "deny",
			"cannot be combined with other words" },
		{ "192.0.2.0/24 dsn=off dsn=off", "dsn=off", "is given twice" },
		{ "192.0.2.0/24 dsn=off deny x", "deny",
			"cannot be combined with other words" },
		{ "192.0.2.0/24 proxy proxy", "proxy", "is given twice" },
		{ "192.0.2.0/24 tls=on tls=on", "tls=on", "is given twice" },
		{ "192.0.2.0/24 tls-priority=A tls-priority=B", "tls-priority=B",
			"is given twice" },
		{ "192.0.2.0/24 deny", "deny", "needs a text" },
		{ "192.0.2.0/24 deny \t", "deny", "needs a text" },
		{ "192.0.2.0/24 deny a\tb", "deny", "is not printable ASCII" },
		{ "192.0.2.0/24 deny \xc3\xa4", "deny", "is not printable ASCII" },
		{ "192.0.2.0/24 deny a \"b\"", "deny", "is not printable ASCII" },
		{ "192.0.2.0/24 deny a\\b", "deny", "is not printable ASCII" },
		{ "192.0.2.0/24 proxy deny x", "deny",
			"cannot be combined with other words" },
		{ "192.0.2.0/24 tls=off deny x", "deny",
			"cannot be combined with other words" },
		{ "192.0.2.0/24 tls-priority=A deny x", "deny",
			"cannot be combined with other words" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct rule rule = { .line = 99 };
		struct rule_fault fault = { .what = "" };
		bool wrong =
			rule_parse(span_of(cases[i].line), &rule, &fault) == RULE_WRONG;
		if (!CHECK(wrong) || !CHECK_SPAN(fault.word, cases[i].word) ||
			!CHECK(strstr(fault.what, cases[i].what)))
			fprintf(stderr, "\t%s: %s\n", cases[i].line, fault.what);
		CHECK(rule.line == 99);
	}
}

static void test_a_text_has_at_most_256_octets(void)
{
	char line[300] = "192.0.2.0/24 deny ";
	size_t n = strlen(line);
	struct rule rule;
	struct rule_fault fault;

	memset(line + n, 'x', RULE_TEXT_MAX + 1);
	CHECK(rule_parse((struct span){ line, n + RULE_TEXT_MAX }, &rule, &fault) ==
		RULE_FINE);
	CHECK(rule.deny.n == 256);
	CHECK(rule_parse((struct span){ line, n + RULE_TEXT_MAX + 1 }, &rule, &fault) ==
		RULE_WRONG);
	CHECK(strstr(fault.what, "more than 256 octets"));
}

static void test_a_nul_is_nothing_of_a_rule(void)
{
	static const struct span cases[] = { { "192.0.2.0/24\0", 13 },
		{ "192.0.2.0/24 proxy\0", 19 }, { "192.0.2.0/24 tls=on\0", 20 },
		{ "192.0.2.0/24 tls-priority=A\0", 28 }, { "192.0.2.0/24 deny a\0b", 21 },
		{ "\0", 1 } };
	struct rule rule;
	struct rule_fault fault;

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		CHECK(rule_parse(cases[i], &rule, &fault) == RULE_WRONG);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_line_says_what_holds_for_a_network),
		TEST(test_blank_lines_and_comments_say_nothing),
		TEST(test_what_is_wrong_is_told_with_its_word),
		TEST(test_a_text_has_at_most_256_octets),
		TEST(test_a_nul_is_nothing_of_a_rule),
	};

	return test_main(tests, TEST_COUNT(tests));
}
