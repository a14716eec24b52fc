/* SPDX-License-Identifier: ISC */
/* proto/received: the trace header (RFC 5321 4.4, RFC 8314 7.4) and its date (RFC 5322 3.3). */
#include <time.h>
#include "proto/received.h"
#include "unit/test.h"

struct dated {
	int64_t time;
	const char *text;
};

static void check_date(int64_t time, const char *text)
{
	char octets[64];
	struct buf b = BUF(octets);

	date_put(&b, time);
	CHECK_SPAN(buf_span(&b), text);
}

static void test_writes_dates(void)
{
	static const struct dated table[] = {
		{ .time = -1, .text = "Wed, 31 Dec 1969 23:59:59 +0000" },
		{ .time = -86400, .text = "Wed, 31 Dec 1969 00:00:00 +0000" },
		{ .time = -86401, .text = "Tue, 30 Dec 1969 23:59:59 +0000" },
		{ .time = -2208988800, .text = "Mon, 01 Jan 1900 00:00:00 +0000" },
		{ .time = 0, .text = "Thu, 01 Jan 1970 00:00:00 +0000" },
		{ .time = 86399, .text = "Thu, 01 Jan 1970 23:59:59 +0000" },
		{ .time = 951782400, .text = "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ .time = 1709164799, .text = "Wed, 28 Feb 2024 23:59:59 +0000" },
		{ .time = 1709164800, .text = "Thu, 29 Feb 2024 00:00:00 +0000" },
		{ .time = 1709251200, .text = "Fri, 01 Mar 2024 00:00:00 +0000" },
		{ .time = 1796116087, .text = "Tue, 01 Dec 2026 09:08:07 +0000" },
		{ .time = 2147483647, .text = "Tue, 19 Jan 2038 03:14:07 +0000" },
		{ .time = 2147483648, .text = "Tue, 19 Jan 2038 03:14:08 +0000" },
		{ .time = 4107542399, .text = "Sun, 28 Feb 2100 23:59:59 +0000" },
		{ .time = 4107542400, .text = "Mon, 01 Mar 2100 00:00:00 +0000" },
		{ .time = 253402300799, .text = "Fri, 31 Dec 9999 23:59:59 +0000" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		check_date(table[i].time, table[i].text);
}

static void test_every_day_agrees_with_the_system(void)
{
	for (int64_t day = -60000; day < 160000 && !test_failed; day++) {
		int64_t at = day * 86400 + (day < 0 ? -day : day) % 86400;
		time_t of_system = (time_t)at;
		char text[64];
		struct tm tm;
		/* a time_t of 32 bits has the years from 1901 to 2038 alone */
		if (of_system != at)
			continue;
		gmtime_r(&of_system, &tm);
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
		check_date(at, text);
	}
}

struct traced {
	struct received trace;
	const char *text;
};

/* What may not be in a comment is left out. */
static void test_a_user_with_a_control_character_is_left_out(void)
{
	static const char *const users[] = { "a\nb", "a\x1f", "a\x7f" };

	for (size_t i = 0; i < TEST_COUNT(users); i++) {
		char octets[RECEIVED_MAX];
		struct buf b = BUF(octets);
		struct received t = { .helo = SPAN("x"),
			.host = SPAN("y"),
			.with = SPAN("ESMTPA"),
			.id = SPAN("1"),
			.user = span_of(users[i]) };
		received_put(&b, &t);
		CHECK(!b.overflow && !memmem(b.p, b.n, "sender", 6));
	}
}

/* Of the peer's address, if the name is looked up (RFC 5321 4.4: TCP-info). */
static void test_the_name_of_the_client_stands_before_its_address(void)
{
	char octets[RECEIVED_MAX];
	struct buf b = BUF(octets);
	struct received t = { .helo = SPAN("x"),
		.peer = SPAN("192.0.2.1"),
		.peer_name = SPAN("mail.example.org"),
		.host = SPAN("y"),
		.with = SPAN("ESMTP"),
		.id = SPAN("1") };

	received_put(&b, &t);
	CHECK(memmem(b.p, b.n, "from x (mail.example.org [192.0.2.1])\n", 38));
}

#define DATE ";\n\tTue, 01 Dec 2026 09:08:07 +0000\n"

static const struct traced traces[] = {
	{
		.trace = {
			.reverse_path = { "a@example.org", 13 },
			.recipient = { "b@example.net", 13 },
			.delivered_to = { "b@example.net", 13 },
			.helo = { "client.example.org", 18 },
			.peer = { "192.0.2.1", 9 },
			.host = { "mail.example.net", 16 },
			.with = { "ESMTPS", 6 },
			.tls_cipher = { "TLS_AES_256_GCM_SHA384", 22 },
			.tls_group = { "x25519", 6 },
			.id = { "1.M2P3Q4", 8 },
			.time = 1796116087,
		},
		.text = "Return-Path: <a@example.org>\n"
			"Delivered-To: b@example.net\n"
			"Received: from client.example.org ([192.0.2.1])\n"
			"\tby mail.example.net with ESMTPS id 1.M2P3Q4\n"
			"\tfor <b@example.net>\n"
			"\ttls TLS_AES_256_GCM_SHA384 group x25519" DATE,
	},
	{
		/* a login, whose name is quoted in its comment */
		.trace = {
			.helo = { "client.example.org", 18 },
			.host = { "h", 1 },
			.with = { "ESMTPSA", 7 },
			.id = { "x", 1 },
			.user = { "a\\(b) \xc3\xa4", 8 },
			.tls_cipher = { "C", 1 },
			.time = 1796116087,
		},
		.text = "Return-Path: <>\n"
			"Received: from client.example.org\n"
			"\tby h with ESMTPSA id x\n"
			"\t(Authenticated sender: a\\\\\\(b\\) \xc3\xa4)\n"
			"\ttls C" DATE,
	},
	{
		/* a name that could end the line */
		.trace = {
			.host = { "h", 1 },
			.with = { "ESMTPA", 6 },
			.id = { "x", 1 },
			.user = { "a\nX-Evil: 1", 11 },
			.time = 1796116087,
		},
		.text = "Return-Path: <>\n"
			"Received: from unknown\n"
			"\tby h with ESMTPA id x" DATE,
	},
	{
		/* several recipients: none is named; the null reverse-path */
		.trace = {
			.helo = { "[IPv6:2001:db8::1]", 18 },
			.peer = { "2001:db8::1", 11 },
			.host = { "mail.example.net", 16 },
			.with = { "SMTP", 4 },
			.id = { "x", 1 },
			.time = 1796116087,
		},
		.text = "Return-Path: <>\n"
			"Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\n"
			"\tby mail.example.net with SMTP id x" DATE,
	},
	{
		/* neither name nor address; a cipher without a group */
		.trace = {
			.host = { "h", 1 },
			.with = { "ESMTPS", 6 },
			.id = { "x", 1 },
			.tls_cipher = { "TLS_RSA_WITH_AES_128_CBC_SHA", 28 },
			.time = 1796116087,
		},
		.text = "Return-Path: <>\n"
			"Received: from unknown\n"
			"\tby h with ESMTPS id x\n"
			"\ttls TLS_RSA_WITH_AES_128_CBC_SHA" DATE,
	},
};

static void test_writes_traces(void)
{
	for (size_t i = 0; i < TEST_COUNT(traces); i++) {
		char octets[RECEIVED_MAX];
		struct buf b = BUF(octets);
		received_put(&b, &traces[i].trace);
		CHECK(!b.overflow);
		CHECK_SPAN(buf_span(&b), traces[i].text);
	}
}

static void test_a_helo_that_is_no_domain_is_left_out(void)
{
	static const struct span table[] = {
		{ "a\r\nX-Evil: 1", 12 },
		{ "a\nb", 3 },
		{ "a\0b", 3 },
		{ "a b", 3 },
		{ "a(b", 3 },
		{ "a)b", 3 },
		{ "a;b", 3 },
		{ "\"a\"", 3 },
		{ "\x1b[2J", 4 },
		{ "\xc3\xa4.example", 10 },
		{ "[192.0.2.1", 10 },
		{ "[192.0.2.1\0\nX-Evil: 1]", 22 },
		{ "", 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char octets[RECEIVED_MAX];
		struct buf b = BUF(octets);
		struct received t = traces[0].trace;
		t.helo = table[i];
		received_put(&b, &t);
		octets[b.n] = '\0';
		CHECK(strstr(octets, "Received: from [192.0.2.1] ([192.0.2.1])\n\tby "));
		for (size_t j = 0; j < b.n; j++)
			CHECK((octets[j] >= 32 && octets[j] < 127) || octets[j] == '\n' ||
				octets[j] == '\t');
	}
}

/* RFC 5321 4.1.3 has no scope in an address literal. */
static void test_a_scope_is_no_part_of_a_literal(void)
{
	char octets[RECEIVED_MAX];
	struct buf b = BUF(octets);
	struct received t = traces[1].trace;

	t.peer = SPAN("fe80::1%eth0");
	received_put(&b, &t);
	octets[b.n] = '\0';
	CHECK(strstr(octets, "([IPv6:fe80::1])"));
}

/* RFC 5322 2.1.1: a line has at most 998 octets */
static void test_the_longest_values_fit(void)
{
	char octets[RECEIVED_MAX], address[254], name[64], user[255];
	struct buf b = BUF(octets);
	struct received t = {
		.reverse_path = { address, sizeof(address) },
		.recipient = { address, sizeof(address) },
		.helo = { address, sizeof(address) },
		.peer = { name, 45 },
		.host = { address, sizeof(address) },
		.with = SPAN("ESMTPS"),
		.id = { name, sizeof(name) },
		.tls_cipher = { name, sizeof(name) },
		.tls_group = { name, sizeof(name) },
		.user = { user, sizeof(user) },
	};

	memset(user, '(', sizeof(user));
	memset(address, 'a', sizeof(address));
	memset(name, ':', sizeof(name));
	received_put(&b, &t);
	CHECK(!b.overflow);
	for (const char *p = octets, *lf; p < octets + b.n; p = lf + 1) {
		lf = memchr(p, '\n', (size_t)(octets + b.n - p));
		REQUIRE(lf);
		CHECK(lf - p <= 998);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_writes_dates),
		TEST(test_every_day_agrees_with_the_system),
		TEST(test_writes_traces),
		TEST(test_a_helo_that_is_no_domain_is_left_out),
		TEST(test_a_user_with_a_control_character_is_left_out),
		TEST(test_the_name_of_the_client_stands_before_its_address),
		TEST(test_a_scope_is_no_part_of_a_literal),
		TEST(test_the_longest_values_fit),
	};

	return test_main(tests, TEST_COUNT(tests));
}
