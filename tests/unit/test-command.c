/* SPDX-License-Identifier: ISC */
/* proto/line: verb and argument, and requests of other protocols. */
#include "proto/line.h"
#include "unit/test.h"

struct split {
	const char *line, *verb, *args;
};

static void test_splits_verb_and_argument(void)
{
	static const struct split table[] = {
		{ .line = "QUIT", .verb = "QUIT", .args = "" },
		{ .line = "ehlo client.example.org",
			.verb = "ehlo",
			.args = "client.example.org" },
		{ .line = "MAIL FROM:<a@b> SIZE=1",
			.verb = "MAIL",
			.args = "FROM:<a@b> SIZE=1" },
		{ .line = "MAIL  \t FROM:<a@b>", .verb = "MAIL", .args = "FROM:<a@b>" },
		/* RFC 5321 4.1.1: trailing white space is tolerated */
		{ .line = "QUIT \t ", .verb = "QUIT", .args = "" },
		{ .line = "HELO a b \t", .verb = "HELO", .args = "a b" },
		{ .line = "", .verb = "", .args = "" },
		{ .line = " \t ", .verb = "", .args = "" },
		{ .line = " QUIT", .verb = "", .args = "QUIT" },
		{ .line = "QUIT\r", .verb = "QUIT\r", .args = "" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct command c = command_parse(span_of(table[i].line));
		CHECK_SPAN(c.verb, table[i].verb);
		CHECK_SPAN(c.args, table[i].args);
	}
}

static void test_knows_http(void)
{
	static const char *const http[] = {
		"GET / HTTP/1.1",
		"GET / HTTP/1.0",
		"POST /a?b=c HTTP/1.1",
		"OPTIONS * HTTP/1.1",
		"CONNECT mail.example.net:25 HTTP/1.1",
		"PRI * HTTP/2.0",
	};
	static const char *const other[] = {
		"",
		"GET",
		"GET / HTTP/1",
		"GET / HTTP/1.1 x",
		"HTTP/1.1",
		"GET / http/1.1",
		"EHLO client.example.org",
		"MAIL FROM:<a@b>",
		"GET /HTTP/1.1",
	};

	for (size_t i = 0; i < TEST_COUNT(http); i++)
		CHECK(command_is_http(span_of(http[i])));
	for (size_t i = 0; i < TEST_COUNT(other); i++)
		CHECK(!command_is_http(span_of(other[i])));
}

/* "HTTP/" DIGIT "." DIGIT */
static void test_http_has_digits_for_a_version(void)
{
	CHECK(!command_is_http(SPAN("HELP me HTTP/a.b")));
	CHECK(!command_is_http(SPAN("HELP me HTTP/1.b")));
	CHECK(!command_is_http(SPAN("HELP me HTTP/1,1")));
	CHECK(!command_is_http(SPAN("HELP me HTTP/!.1")));
	CHECK(!command_is_http(SPAN("HELP me HTTP/1.:")));
}

static void test_knows_a_tls_handshake(void)
{
	char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc";
	char alert[] = "\x15\x03\x01\x00\x02\x02\x28";
	char text[] = "EHLO";
	char ssl2[] = "\x80\x1c\x01\x00\x02\x00\x03";
	char ssl2_of_tls[] = "\x80\x1c\x01\x03\x01\x00\x03";
	char letters[] = "\xc3\xa4\x01\x00\x03\x00\x03";

	CHECK(command_is_tls((struct bytes){ hello, sizeof(hello) - 1 }));
	CHECK(command_is_tls((struct bytes){ hello, 2 }));
	CHECK(!command_is_tls((struct bytes){ hello, 1 }));
	CHECK(!command_is_tls((struct bytes){ NULL, 0 }));
	CHECK(!command_is_tls((struct bytes){ alert, sizeof(alert) - 1 }));
	CHECK(!command_is_tls((struct bytes){ text, sizeof(text) - 1 }));
	CHECK(command_is_tls((struct bytes){ ssl2, 5 }));
	CHECK(!command_is_tls((struct bytes){ ssl2, 4 }));
	CHECK(command_is_tls((struct bytes){ ssl2_of_tls, 5 }));
	CHECK(!command_is_tls((struct bytes){ letters, sizeof(letters) - 1 }));
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_splits_verb_and_argument),
		TEST(test_knows_http),
		TEST(test_http_has_digits_for_a_version),
		TEST(test_knows_a_tls_handshake),
	};

	return test_main(tests, TEST_COUNT(tests));
}
