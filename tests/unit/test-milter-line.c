/* SPDX-License-Identifier: ISC */
/* Lines of the file `milters`: what they mean, and the sentence for each mistake. */
#include "base/buf.h"
#include "proto/milter.h"
#include "unit/test.h"

static void test_an_address_is_a_path_or_ip_and_port(void)
{
	static const struct {
		const char *line, *address, *path, *ip;
		uint16_t port;
	} cases[] = {
		{ "inet:127.0.0.1:11332", "inet:127.0.0.1:11332", "", "127.0.0.1",
			11332 },
		{ "  inet:[::1]:1\t", "inet:[::1]:1", "", "::1", 1 },
		{ "inet:[2001:db8::1]:65535", "inet:[2001:db8::1]:65535", "",
			"2001:db8::1", 65535 },
		{ "inet:[::ffff:127.0.0.1]:1", "inet:[::ffff:127.0.0.1]:1", "",
			"127.0.0.1", 1 },
		{ "unix:/run/rspamd/milter.sock", "unix:/run/rspamd/milter.sock",
			"/run/rspamd/milter.sock", "", 0 },
		{ "unix:/a\r", "unix:/a", "/a", "", 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct milter_setting s;
		struct rule_fault fault = { .what = "" };
		char memory[IP_TEXT_MAX];
		struct buf ip = BUF(memory);
		if (!CHECK(milter_line_parse(span_of(cases[i].line), &s, &fault) ==
			    RULE_FINE)) {
			fprintf(stderr, "\t%s: %s\n", cases[i].line, fault.what);
			continue;
		}
		CHECK_SPAN(s.address, cases[i].address);
		CHECK_SPAN(s.path, cases[i].path);
		ip_put(&ip, &s.ip);
		CHECK_SPAN(buf_span(&ip), cases[i].ip);
		CHECK(s.port == cases[i].port);
		CHECK(s.default_action == MILTER_DEFAULT_TEMPFAIL);
		CHECK(s.connect_timeout == 30 && s.command_timeout == 30 &&
			s.content_timeout == 300);
	}
}

static void test_options_may_stand_in_any_order(void)
{
	static const struct {
		const char *line;
		enum milter_default action;
		unsigned connect, command, content;
	} cases[] = {
		{ "unix:/a default-action=accept connect-timeout=1s command-timeout=2m "
		  "content-timeout=1h",
			MILTER_DEFAULT_ACCEPT, 1, 120, 3600 },
		{ "unix:/a content-timeout=3600 default-action=reject",
			MILTER_DEFAULT_REJECT, 30, 30, 3600 },
		{ "unix:/a \t command-timeout=7  default-action=shutdown",
			MILTER_DEFAULT_SHUTDOWN, 30, 7, 300 },
		{ "unix:/a default-action=quarantine", MILTER_DEFAULT_QUARANTINE, 30, 30,
			300 },
		{ "unix:/a default-action=tempfail", MILTER_DEFAULT_TEMPFAIL, 30, 30,
			300 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct milter_setting s;
		struct rule_fault fault;
		if (!CHECK(milter_line_parse(span_of(cases[i].line), &s, &fault) ==
			    RULE_FINE))
			continue;
		CHECK(s.default_action == cases[i].action);
		CHECK(s.connect_timeout == cases[i].connect);
		CHECK(s.command_timeout == cases[i].command);
		CHECK(s.content_timeout == cases[i].content);
	}
}

static void test_a_line_may_be_blank_or_a_comment(void)
{
	static const char *const lines[] = { "", " ", "\t\r", "# inet:127.0.0.1:1",
		"  #x" };

	for (size_t i = 0; i < TEST_COUNT(lines); i++) {
		struct milter_setting s;
		struct rule_fault fault;
		CHECK(milter_line_parse(span_of(lines[i]), &s, &fault) == RULE_BLANK);
	}
}

#define IS_INET "is written inet:ADDRESS:PORT here, as in inet:127.0.0.1:11332"
#define IS_INET6 "is written inet:[ADDRESS]:PORT here, as in inet:[::1]:11332"
#define NO_PORT                                                                          \
	"needs a port from 1 to 65535 behind its address, as in inet:127.0.0.1:11332"
#define BRACKETS "needs brackets around an IPv6 address, as in inet:[::1]:11332"
#define NO_NAMES                                                                         \
	"needs an IP address, because names are not looked up, as in "                   \
	"inet:127.0.0.1:11332"
#define NO_PATH "needs a path that begins with /, as in unix:/run/filter.sock"
#define IS_UNIX "is written unix:PATH here, as in unix:/run/filter.sock"
#define NEITHER "must begin with inet: or unix:, as in inet:127.0.0.1:11332"
#define NO_OPTION                                                                        \
	"is not command-timeout=, connect-timeout=, content-timeout= or default-action="
#define NO_TIME "must be a time from 1s to 1h"
#define NO_ACTION                                                                        \
	"must be default-action=tempfail, accept, reject, shutdown or quarantine"

static void test_any_other_line_is_refused_by_its_word(void)
{
	static const struct {
		const char *line, *word, *what;
	} cases[] = {
		/* other spellings of the same address */
		{ "tcp:127.0.0.1:11332", "tcp:127.0.0.1:11332", IS_INET },
		{ "tcp://127.0.0.1:11332", "tcp://127.0.0.1:11332", IS_INET },
		{ "tcp4:127.0.0.1:1", "tcp4:127.0.0.1:1", IS_INET },
		{ "inet4:127.0.0.1:1", "inet4:127.0.0.1:1", IS_INET },
		{ "inet:11332@127.0.0.1", "inet:11332@127.0.0.1", IS_INET },
		{ "tcp6:::1:11332", "tcp6:::1:11332", IS_INET6 },
		{ "inet6:11332@::1", "inet6:11332@::1", IS_INET6 },
		{ "local:/run/a", "local:/run/a", IS_UNIX },
		{ "/run/a", "/run/a", "is a path: write unix: in front of it" },
		{ "127.0.0.1:11332", "127.0.0.1:11332", NEITHER },
		{ "localhost", "localhost", NEITHER },
		{ "INET:127.0.0.1:1", "INET:127.0.0.1:1", NEITHER },
		{ "inet", "inet", NEITHER },
		/* wrong addresses */
		{ "inet:", "inet:", NO_PORT },
		{ "inet:127.0.0.1", "inet:127.0.0.1", NO_PORT },
		{ "inet:127.0.0.1:", "inet:127.0.0.1:", NO_PORT },
		{ "inet:127.0.0.1:0", "inet:127.0.0.1:0", NO_PORT },
		{ "inet:127.0.0.1:65536", "inet:127.0.0.1:65536", NO_PORT },
		{ "inet:127.0.0.1:1x", "inet:127.0.0.1:1x", NO_PORT },
		{ "inet:[::1]", "inet:[::1]", NO_PORT },
		{ "inet:[::1:1", "inet:[::1:1", NO_PORT },
		{ "inet:[:1", "inet:[:1", NO_PORT },
		{ "inet:[]:1", "inet:[]:1", NO_NAMES },
		{ "inet:::1", "inet:::1", BRACKETS },
		{ "inet:2001:db8::1:11332", "inet:2001:db8::1:11332", BRACKETS },
		{ "inet:0:0:0:0:0:0:0:1:25", "inet:0:0:0:0:0:0:0:1:25", BRACKETS },
		{ "inet:localhost:11332", "inet:localhost:11332", NO_NAMES },
		{ "inet::11332", "inet::11332", NO_NAMES },
		{ "inet:*:11332", "inet:*:11332", NO_NAMES },
		{ "inet:[fe80::1%eth0]:1", "inet:[fe80::1%eth0]:1", NO_NAMES },
		{ "unix:", "unix:", NO_PATH },
		{ "unix:/", "unix:/", NO_PATH },
		{ "unix:run/a", "unix:run/a", NO_PATH },
		{ "unix:@a", "unix:@a", NO_PATH },
		/* wrong options */
		{ "unix:/a accept", "accept", NO_OPTION },
		{ "unix:/a default-action", "default-action", NO_OPTION },
		{ "unix:/a = ", "=", NO_OPTION },
		{ "unix:/a timeout=3s", "timeout=3s", NO_OPTION },
		{ "unix:/a unix:/b", "unix:/b", NO_OPTION },
		{ "unix:/a default-action=", "default-action=", NO_ACTION },
		{ "unix:/a default-action=Accept", "default-action=Accept", NO_ACTION },
		{ "unix:/a connect-timeout=", "connect-timeout=", NO_TIME },
		{ "unix:/a connect-timeout=0", "connect-timeout=0", NO_TIME },
		{ "unix:/a connect-timeout=0s", "connect-timeout=0s", NO_TIME },
		{ "unix:/a connect-timeout=3601", "connect-timeout=3601", NO_TIME },
		{ "unix:/a connect-timeout=2h", "connect-timeout=2h", NO_TIME },
		{ "unix:/a connect-timeout=1d", "connect-timeout=1d", NO_TIME },
		{ "unix:/a connect-timeout=-1s", "connect-timeout=-1s", NO_TIME },
		{ "unix:/a connect-timeout=1 s", "s", NO_OPTION },
		{ "unix:/a connect-timeout=1 connect-timeout=1", "connect-timeout=1",
			"is given twice" },
		{ "unix:/a default-action=tempfail default-action=accept",
			"default-action=accept", "is given twice" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct milter_setting s;
		struct rule_fault fault;
		if (!CHECK(milter_line_parse(span_of(cases[i].line), &s, &fault) ==
			    RULE_WRONG)) {
			fprintf(stderr, "\t%s\n", cases[i].line);
			continue;
		}
		CHECK_SPAN(fault.word, cases[i].word);
		if (!CHECK_SPAN(span_of(fault.what), cases[i].what))
			fprintf(stderr, "\t%s\n", cases[i].line);
	}
}

static void test_a_path_is_no_longer_than_that_of_a_socket(void)
{
	char line[5 + MILTER_PATH_MAX + 1] = "unix:/";
	struct milter_setting s;
	struct rule_fault fault;

	memset(line + 6, 'x', sizeof(line) - 6);
	CHECK(milter_line_parse((struct span){ line, sizeof(line) - 1 }, &s, &fault) ==
		RULE_FINE);
	CHECK(s.path.n == MILTER_PATH_MAX);
	CHECK(milter_line_parse((struct span){ line, sizeof(line) }, &s, &fault) ==
		RULE_WRONG);
	CHECK_SPAN(span_of(fault.what),
		"has a path of more than 107 octets, which no UNIX socket has");
	line[10] = '\0';
	CHECK(milter_line_parse((struct span){ line, sizeof(line) - 1 }, &s, &fault) ==
		RULE_WRONG);
	CHECK_SPAN(span_of(fault.what), "has a NUL in it");
}

static void test_a_word_that_was_perhaps_meant_is_named(void)
{
	static const struct {
		const char *line, *meant;
	} cases[] = {
		{ "unix:/a default-acton=accept", "; did you mean default-action=?" },
		{ "unix:/a conect-timeout=1s", "; did you mean connect-timeout=?" },
		{ "unix:/a default-action=acept", "; did you mean accept?" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct milter_setting s;
		struct rule_fault fault = { 0 };
		char meant[CONF_MEANT_MAX];
		CHECK(milter_line_parse(span_of(cases[i].line), &s, &fault) ==
			RULE_WRONG);
		REQUIRE(fault.words);
		conf_put_meant(meant, fault.written, fault.words);
		CHECK_SPAN(span_of(meant), cases[i].meant);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_an_address_is_a_path_or_ip_and_port),
		TEST(test_options_may_stand_in_any_order),
		TEST(test_a_line_may_be_blank_or_a_comment),
		TEST(test_any_other_line_is_refused_by_its_word),
		TEST(test_a_path_is_no_longer_than_that_of_a_socket),
		TEST(test_a_word_that_was_perhaps_meant_is_named),
	};

	return test_main(tests, TEST_COUNT(tests));
}
