/* SPDX-License-Identifier: ISC */
/* The clients file: the rule of each client, and faults with file and line. */
#include <stdio.h>
#include <unistd.h>
#include "edge/settings/settings.h"
#include "unit/heard.h"
#include "unit/test.h"

static const char path[] = "test-clients.tmp";

/* Reads a file with that text; how many faults it has. */
static size_t read_text(struct clients *c, struct heard *h, struct span text)
{
	FILE *f = fopen(path, "we");
	struct faults faults = { .report = hear, .ctx = h };

	REQUIRE(f && fwrite(text.p, 1, text.n, f) == text.n && fclose(f) == 0);
	*c = (struct clients){ 0 };
	h->text[0] = '\0';
	clients_read(c, path, &faults);
	unlink(path);
	return faults.n;
}

/* The number of the line that holds for the client; 0: none. */
static size_t line_of(const struct clients *c, const char *client)
{
	const struct rule *rule;
	struct ip ip;

	REQUIRE(ip_parse(span_of(client), &ip));
	rule = clients_find(c, &ip);
	return rule ? rule->line : 0;
}

static void test_the_most_specific_network_holds(void)
{
	static const char text[] = "# lines in no order at all\n"
				   "192.0.2.0/24 deny x\n"
				   "\n"
				   "192.0.2.64/26\r\n"
				   "0.0.0.0/0 tls=off\n"
				   "192.0.2.65 proxy\n"
				   "2001:db8::/32 proxy\n"
				   "2001:db8::7 tls=on\n"
				   "192.0.2.0/25 tls=required";
	static const struct {
		const char *client;
		size_t line;
	} cases[] = {
		{ "192.0.2.65", 6 },
		{ "::ffff:192.0.2.65", 6 },
		{ "192.0.2.66", 4 },
		{ "192.0.2.127", 4 },
		{ "192.0.2.63", 9 },
		{ "192.0.2.128", 2 },
		{ "192.0.3.1", 5 },
		{ "2001:db8::7", 8 },
		{ "2001:db8::8", 7 },
		{ "2001:db9::7", 0 },
	};
	struct clients c;
	struct heard h;

	CHECK(read_text(&c, &h, span_of(text)) == 0);
	CHECK_SPAN(span_of(h.text), "");
	CHECK(c.n_rules == 7);
	CHECK(c.may_use_tls);
	CHECK(c.may_refuse);
	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		if (!CHECK(line_of(&c, cases[i].client) == cases[i].line))
			fprintf(stderr, "\t%s\n", cases[i].client);
	clients_done(&c);
}

/* Real sender 20, RFC 3629 6: a byte order mark is no part of the first network. */
static void test_a_byte_order_mark_is_skipped(void)
{
	struct clients c;
	struct heard h;

	CHECK(read_text(&c, &h,
		      SPAN("\xef\xbb\xbf"
			   "192.0.2.0/24 deny x\n192.0.3.0/24 proxy\n")) == 0);
	CHECK_SPAN(span_of(h.text), "");
	CHECK(line_of(&c, "192.0.2.1") == 1);
	CHECK(line_of(&c, "192.0.3.1") == 2);
	clients_done(&c);
}

static void test_without_rules_nothing_holds(void)
{
	static const struct span texts[] = { { "", 0 }, { "\n", 1 }, { "# x\n\n", 5 } };
	const struct ip none = { .n = 0 };
	struct clients c = { 0 };
	struct heard h;

	CHECK(line_of(&c, "192.0.2.1") == 0);
	for (size_t i = 0; i < TEST_COUNT(texts); i++) {
		CHECK(read_text(&c, &h, texts[i]) == 0);
		CHECK(line_of(&c, "192.0.2.1") == 0);
		CHECK(!c.may_use_tls);
		clients_done(&c);
	}
	CHECK(read_text(&c, &h, SPAN("0.0.0.0/0\n::/0\n")) == 0);
	CHECK(!clients_find(&c, &none));
	clients_done(&c);
}

static void test_each_fault_is_told_with_its_line(void)
{
	static const char text[] = "192.0.2.0/24 tls=maybe\n"
				   "192.0.2.0/24\n"
				   "# 192.0.2.0/24\n"
				   "example.org deny x\n"
				   "192.0.2.0/24 proxy\n"
				   "2001:db8::/32\n"
				   "::ffff:192.0.2.0/120 deny x\n"
				   "2001:db8::1/32\n"
				   "2001:DB8:0::/32 proxy\n";
	struct clients c;
	struct heard h;

	CHECK(read_text(&c, &h, span_of(text)) == 6);
	CHECK_SPAN(span_of(h.text),
		"test-clients.tmp:1: tls=maybe: must be tls=off, tls=on or tls=required\n"
		"test-clients.tmp:4: example.org: is not a network such as 192.0.2.0/24 "
		"or 2001:db8::/32\n"
		"test-clients.tmp:8: 2001:db8::1/32: has bits set behind its prefix\n"
		"test-clients.tmp:9: 2001:db8::/32: is already on line 6\n"
		"test-clients.tmp:5: 192.0.2.0/24: is already on line 2\n"
		"test-clients.tmp:7: 192.0.2.0/24: is already on line 5\n");
	clients_done(&c);
}

static void test_a_long_word_is_cut(void)
{
	char text[1000];
	struct clients c;
	struct heard h;

	memset(text, 'x', sizeof(text));
	CHECK(read_text(&c, &h, (struct span){ text, sizeof(text) }) == 1);
	CHECK(strlen(h.text) < 160);
	CHECK(strstr(h.text, "xxx: is not a network such as"));
	clients_done(&c);
}

static void test_a_file_that_cannot_be_read_is_a_fault(void)
{
	struct clients c = { 0 };
	struct heard h = { "" };
	struct faults faults = { .report = hear, .ctx = &h };

	clients_read(&c, "/nonexistent/clients", &faults);
	CHECK(faults.n == 1);
	clients_read(&c, "/", &faults);
	CHECK(faults.n == 2);
	CHECK(strstr(h.text, "clients /nonexistent/clients: No such file or directory; "
			     "put it there: install -D -m 0644 -o "));
	CHECK(strstr(h.text, "clients /: Is a directory; name a file\n"));
	CHECK(c.n_rules == 0);
	clients_done(&c);
}

static void test_a_file_has_its_limit(void)
{
	char *text = malloc(CLIENTS_FILE_MAX + 1);
	struct clients c;
	struct heard h;

	REQUIRE(text);
	memset(text, '\n', CLIENTS_FILE_MAX + 1);
	CHECK(read_text(&c, &h, (struct span){ text, CLIENTS_FILE_MAX }) == 0);
	clients_done(&c);
	CHECK(read_text(&c, &h, (struct span){ text, CLIENTS_FILE_MAX + 1 }) == 1);
	CHECK_SPAN(span_of(h.text), "clients test-clients.tmp: File too large\n");
	clients_done(&c);
	free(text);
}

/* As many as a file can have: to look for twins must not take the square of their number. */
static void test_many_rules_are_read_in_time(void)
{
	char *text = malloc(CLIENTS_FILE_MAX), line[32];
	size_t n = 0, n_lines = 0;
	struct clients c;
	struct heard h;

	REQUIRE(text);
	for (unsigned i = 0; n + sizeof(line) < CLIENTS_FILE_MAX; i++, n_lines++)
		n += (size_t)sprintf(
			text + n, "10.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
	CHECK(read_text(&c, &h, (struct span){ text, n }) == 0);
	CHECK(c.n_rules == n_lines);
	CHECK(line_of(&c, "10.0.1.1") == 258);
	clients_done(&c);
	free(text);
}

static void test_what_a_rule_says_of_tls_is_put_in_force(void)
{
	static const char text[] = "192.0.2.1 tls=off\n"
				   "192.0.2.2 tls=on tls-priority=NORMAL:%COMPAT proxy\n"
				   "192.0.2.3 tls-priority=PFS\r\n"
				   "192.0.2.4\n"
				   "192.0.2.6 tls=ssl tls-priority=SECURE128";
	static const struct {
		const char *client;
		enum tls_mode before, after;
		const char *priority;
	} cases[] = {
		{ "192.0.2.1", TLS_REQUIRED, TLS_OFF, "DEFAULT" },
		{ "192.0.2.1", TLS_IMPLICIT, TLS_IMPLICIT, "DEFAULT" },
		{ "192.0.2.2", TLS_OFF, TLS_ON, "NORMAL:%COMPAT" },
		{ "192.0.2.2", TLS_REQUIRED, TLS_ON, "NORMAL:%COMPAT" },
		{ "192.0.2.2", TLS_IMPLICIT, TLS_IMPLICIT, "NORMAL:%COMPAT" },
		{ "192.0.2.3", TLS_ON, TLS_ON, "PFS" },
		{ "192.0.2.4", TLS_REQUIRED, TLS_REQUIRED, "DEFAULT" },
		{ "192.0.2.5", TLS_REQUIRED, TLS_REQUIRED, "DEFAULT" },
		{ "192.0.2.6", TLS_OFF, TLS_REQUIRED, "SECURE128" },
	};
	struct clients c;
	struct heard h;

	CHECK(read_text(&c, &h, span_of(text)) == 0);
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct session_settings session = { .tls = cases[i].before };
		struct tls_settings tls = { .priority = "DEFAULT" };
		struct ip ip;
		REQUIRE(ip_parse(span_of(cases[i].client), &ip));
		clients_apply(clients_find(&c, &ip), &session, &tls);
		CHECK(session.tls == cases[i].after);
		CHECK_SPAN(span_of(tls.priority), cases[i].priority);
	}
	clients_done(&c);
}

static void test_rules_for_tls_are_none_for_lmtp(void)
{
	struct session_settings session = { .lmtp = true, .tls = TLS_OFF, .dsn = true };
	struct tls_settings tls = { 0 };
	struct clients c;
	struct heard h;

	CHECK(read_text(&c, &h, SPAN("192.0.2.1 tls=required dsn=off\n")) == 0);
	REQUIRE(c.n_rules == 1);
	clients_apply(&c.rules[0], &session, &tls);
	CHECK(session.tls == TLS_OFF);
	CHECK(!session.dsn);
	clients_done(&c);
}

static void test_a_rule_takes_delivery_reports_away(void)
{
	static const struct {
		const char *client;
		bool before, after;
	} cases[] = {
		{ "192.0.2.1", true, false },
		{ "192.0.2.1", false, false },
		{ "192.0.2.2", true, true },
		{ "192.0.2.2", false, false },
		{ "192.0.2.3", true, true },
	};
	struct clients c;
	struct heard h;

	CHECK(read_text(&c, &h, SPAN("192.0.2.1 dsn=off\n192.0.2.2 tls=off\n")) == 0);
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct session_settings session = { .dsn = cases[i].before };
		struct tls_settings tls = { 0 };
		struct ip ip;
		REQUIRE(ip_parse(span_of(cases[i].client), &ip));
		clients_apply(clients_find(&c, &ip), &session, &tls);
		CHECK(session.dsn == cases[i].after);
	}
	clients_done(&c);
}

static void test_only_some_rules_turn_tls_on(void)
{
	static const struct {
		const char *text;
		bool may_use_tls;
	} cases[] = {
		{ "192.0.2.1 tls=off\n192.0.2.2 tls-priority=NORMAL\n", false },
		{ "192.0.2.1 tls=on\n192.0.2.2 tls=off\n", true },
		{ "192.0.2.1 tls=required\n", true },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct clients c;
		struct heard h;
		CHECK(read_text(&c, &h, span_of(cases[i].text)) == 0);
		CHECK(c.may_use_tls == cases[i].may_use_tls);
		clients_done(&c);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_the_most_specific_network_holds),
		TEST(test_a_byte_order_mark_is_skipped),
		TEST(test_without_rules_nothing_holds),
		TEST(test_each_fault_is_told_with_its_line),
		TEST(test_a_long_word_is_cut),
		TEST(test_a_file_that_cannot_be_read_is_a_fault),
		TEST(test_a_file_has_its_limit),
		TEST(test_many_rules_are_read_in_time),
		TEST(test_what_a_rule_says_of_tls_is_put_in_force),
		TEST(test_rules_for_tls_are_none_for_lmtp),
		TEST(test_a_rule_takes_delivery_reports_away),
		TEST(test_only_some_rules_turn_tls_on),
	};
	char directory[] = "/tmp/postern-clients-XXXXXX";
	int status;

	/* faults contain the path of the file, which is in a directory of its own */
	if (!mkdtemp(directory) || chdir(directory) < 0)
		return 99;
	status = test_main(tests, TEST_COUNT(tests));
	rmdir(directory);
	return status;
}
