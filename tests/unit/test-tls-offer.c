/*
 * What is recorded of a ClientHello: versions and suites, and nothing outside of it,
 * however torn.
 */
#include "edge/tls-offer.h"

#include "unit/test.h"

#define RANDOM "0123456789abcdef0123456789abcdef"

/* TLS 1.2's own: no extensions at all */
#define OLD_HELLO                                                                        \
	"\3\3" RANDOM "\0"                                                               \
	"\0\4\xc0\x2f\0\x35"                                                             \
	"\1\0"
/*
 * a session id, GREASE first everywhere, two extensions of which the second has the
 * versions
 */
#define NEW_HELLO                                                                        \
	"\3\3" RANDOM "\4abcd"                                                           \
	"\0\6\x3a\x3a\x13\1\x13\2"                                                       \
	"\1\0"                                                                           \
	"\0\x11"                                                                         \
	"\x4a\x4a\0\1\0"                                                                 \
	"\0\x2b\0\7\6\xda\xda\3\4\3\3"                                                   \
	"\0"

static void check_offer(struct span hello, const char *want)
{
	char text[256];
	struct buf b = BUF(text);

	offer_describe(hello, &b);
	CHECK(!b.overflow);
	CHECK_SPAN(buf_span(&b), want);
}

static void test_versions_come_before_suites(void)
{
	static const struct {
		struct span hello;
		const char *text;
	} cases[] = {
		{ SPAN(OLD_HELLO), "TLS1.2 0xc02f 0x0035" },
		{ SPAN(NEW_HELLO), "TLS1.3 TLS1.2 0x1301 0x1302" },
		{ SPAN("\3\0" RANDOM "\0\0\2\0\5\1\0"), "SSL3.0 0x0005" },
		{ SPAN("\3\1" RANDOM "\0\0\2\0\5\1\0"), "TLS1.0 0x0005" },
		{ SPAN("\2\0" RANDOM "\0\0\2\0\5\1\0"), "0x0200 0x0005" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_offer(cases[i].hello, cases[i].text);
}

static void test_of_a_torn_hello_nothing_is_read_behind_its_end(void)
{
	static const char hello[] = NEW_HELLO;

	for (size_t n = 0; n < sizeof(hello); n++) {
		/* The very octets, so that a sanitizer sees what is read behind them. */
		char *copy = malloc(n + 1);
		char text[256];
		struct buf b = BUF(text);

		memcpy(copy, hello, n);
		copy = realloc(copy, n ? n : 1);
		offer_describe((struct span){ copy, n }, &b);
		CHECK(!b.overflow);
		free(copy);
	}
	check_offer(SPAN("\3\3" RANDOM "\xff"), "TLS1.2");
	check_offer(SPAN("\3\3" RANDOM "\0\0\4\xc0\x2f\0"), "TLS1.2");
	check_offer(SPAN("\3\3" RANDOM "\0\0\3\xc0\x2f\0\1\0"), "TLS1.2 0xc02f");
}

static void test_what_does_not_fit_is_left_out_whole(void)
{
	char text[32];
	struct buf b = BUF(text);
	char hello[2 + 32 + 1 + 2 + 200 + 2] = "\3\3" RANDOM "\0\0\xc8";

	memset(hello + 37, 0x2f, 200);
	hello[237] = 1;
	offer_describe((struct span){ hello, sizeof(hello) }, &b);
	CHECK(!b.overflow);
	CHECK_SPAN(buf_span(&b), "TLS1.2 0x2f2f 0x2f2f 0x2f2f");
	CHECK(buf_terminate(&b));
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_versions_come_before_suites),
		TEST(test_of_a_torn_hello_nothing_is_read_behind_its_end),
		TEST(test_what_does_not_fit_is_left_out_whole),
	};

	return test_main(tests, TEST_COUNT(tests));
}
