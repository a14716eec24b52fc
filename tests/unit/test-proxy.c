/* SPDX-License-Identifier: ISC */
/*
 * proto/proxy: headers of the PROXY protocol, versions 1 (2.1) and 2 (2.2). Each header is in memory of exactly its
 * size, and is parsed with 0 octets, 1 octet and so on.
 */
#include "proto/proxy.h"
#include "unit/test.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4_ADDRESSES "\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x34\x00\x19"
#define IPV6_ADDRESSES                                                                   \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"                                     \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff\0\x19"
#define MAPPED_ADDRESSES                                                                 \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07"                                   \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01\0\1\0\x19"
#define HEADER(octets)                                                                   \
	{                                                                                \
		octets, sizeof(octets) - 1                                               \
	}

/* The octets that a header may be followed by: all of them are left alone. */
static const struct span behind[] = { { "", 0 }, { "E", 1 }, { "\r", 1 }, { "\n", 1 },
	{ "EHLO x\r\n", 8 }, { "PROXY UNKNOWN\r\n", 15 }, { "\x16\x03\x01", 3 } };

static enum proxy_step show(
	struct span header, struct span more, struct proxy_header *ret)
{
	char *copy = malloc(header.n + more.n + 1);
	struct span all = { copy + 1, header.n + more.n };
	enum proxy_step step;

	REQUIRE(copy);
	memcpy(copy + 1, header.p, header.n);
	memcpy(copy + 1 + header.n, more.p, more.n);
	step = proxy_parse(all, ret);
	free(copy);
	return step;
}

static bool is_untouched(const struct proxy_header *h)
{
	return h->n == 9999 && h->port == 9999;
}

static const struct proxy_header untouched = { .n = 9999, .port = 9999 };

struct good {
	struct span header;
	const char *client; /* empty: the proxy itself */
	uint16_t port;
};

static const struct good good[] = {
	/* 2.1 */
	{ .header = HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 4660 25\r\n"),
		.client = "192.0.2.7",
		.port = 4660 },
	{ .header = HEADER("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), .client = "0.0.0.0" },
	{ .header = HEADER("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
		.client = "255.255.255.255",
		.port = 65535 },
	{ .header = HEADER("PROXY TCP6 2001:db8::7 2001:DB8::1 1 25\r\n"),
		.client = "2001:db8::7",
		.port = 1 },
	{ .header = HEADER("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		.client = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		.port = 65535 },
	/* the destination address is not used, and may have any family */
	{ .header = HEADER("PROXY TCP4 192.0.2.7 2001:db8::25 4711 25\r\n"),
		.client = "192.0.2.7",
		.port = 4711 },
	{ .header = HEADER("PROXY TCP4 192.0.2.7 ::ffff:198.51.100.1 4711 25\r\n"),
		.client = "192.0.2.7",
		.port = 4711 },
	{ .header = HEADER("PROXY TCP6 2001:db8::7 198.51.100.1 4711 25\r\n"),
		.client = "2001:db8::7",
		.port = 4711 },
	/* as inet_ntop(3) writes it, and so do proxies */
	{ .header = HEADER("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 1 25\r\n"),
		.client = "192.0.2.7",
		.port = 1 },
	{ .header = HEADER("PROXY UNKNOWN\r\n"), .client = "" },
	{ .header = HEADER("PROXY UNKNOWN \r\n"), .client = "" },
	{ .header = HEADER("PROXY UNKNOWN 192.0.2.7 198.51.100.1 4660 25\r\n"),
		.client = "" },
	{ .header = HEADER("PROXY UNKNOWN any\0thing \xff at all\r\n"), .client = "" },
	{ .header = HEADER("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		.client = "" },
	/* 2.2 */
	{ .header = HEADER(SIGNATURE "\x21\x11\0\x0c" IPV4_ADDRESSES),
		.client = "192.0.2.7",
		.port = 0x1234 },
	{ .header = HEADER(SIGNATURE "\x21\x21\0\x24" IPV6_ADDRESSES),
		.client = "2001:db8::7",
		.port = 65535 },
	{ .header = HEADER(SIGNATURE "\x21\x21\0\x24" MAPPED_ADDRESSES),
		.client = "192.0.2.7",
		.port = 1 },
	/* TLVs, the last of which claims to be longer than the header */
	{ .header = HEADER(SIGNATURE "\x21\x11\0\x16" IPV4_ADDRESSES
				     "\x04\0\x03xyz\x20\xff\xff\x07"),
		.client = "192.0.2.7",
		.port = 0x1234 },
	{ .header = HEADER(SIGNATURE "\x20\x00\0\0"), .client = "" },
	{ .header = HEADER(SIGNATURE "\x20\x11\0\x0c" IPV4_ADDRESSES), .client = "" },
	/* of LOCAL the family means nothing, nor do its addresses */
	{ .header = HEADER(SIGNATURE "\x20\xff\0\x02\0\0"), .client = "" },
	{ .header = HEADER(SIGNATURE "\x20\x11\0\0"), .client = "" },
	{ .header = HEADER(SIGNATURE "\x21\x00\0\0"), .client = "" },
	{ .header = HEADER(SIGNATURE "\x21\x00\0\x03xyz"), .client = "" },
	/* datagrams, and half a family: valid, and nothing to us */
	{ .header = HEADER(SIGNATURE "\x21\x12\0\x0c" IPV4_ADDRESSES), .client = "" },
	{ .header = HEADER(SIGNATURE "\x21\x22\0\x24" IPV6_ADDRESSES), .client = "" },
	{ .header = HEADER(SIGNATURE "\x21\x10\0\x0c" IPV4_ADDRESSES), .client = "" },
	{ .header = HEADER(SIGNATURE "\x21\x01\0\0"), .client = "" },
};

static void check_client(const struct proxy_header *h, const struct good *row)
{
	char octets[IP_TEXT_MAX];
	struct buf b = BUF(octets);

	ip_put(&b, &h->client);
	CHECK_SPAN(buf_span(&b), row->client);
	CHECK(h->port == row->port);
	CHECK(h->n == row->header.n);
}

static void test_a_header_is_read(void)
{
	for (size_t i = 0; i < TEST_COUNT(good); i++)
		for (size_t j = 0; j < TEST_COUNT(behind); j++) {
			struct proxy_header h = untouched;
			if (CHECK(show(good[i].header, behind[j], &h) == PROXY_DONE))
				check_client(&h, &good[i]);
			else
				fprintf(stderr, "\trow %zu, %zu behind it\n", i,
					behind[j].n);
		}
}

static void test_less_than_a_header_asks_for_more(void)
{
	for (size_t i = 0; i < TEST_COUNT(good); i++)
		for (size_t n = 0; n < good[i].header.n; n++) {
			const struct span part = { good[i].header.p, n };
			struct proxy_header h = untouched;
			if (!CHECK(show(part, SPAN(""), &h) == PROXY_MORE) ||
				!CHECK(is_untouched(&h)))
				fprintf(stderr, "\trow %zu: %zu octets\n", i, n);
		}
}

/* `at` octets may begin a header; with the next octet they do not. */
struct bad {
	struct span octets;
	size_t at;
};

static const struct bad bad[] = {
	{ HEADER("E"), 0 },
	{ HEADER("\n"), 0 },
	{ HEADER("\0"), 0 },
	{ HEADER(" PROXY"), 0 },
	{ HEADER("\x16\x03\x01"), 0 },
	{ HEADER("proxy"), 0 },
	{ HEADER("PROXy"), 4 },
	{ HEADER("PROXY\t"), 5 },
	{ HEADER("PROXY  TCP4"), 6 },
	{ HEADER("PROXY\r\n"), 5 },
	{ HEADER("PROXY \r\n"), 6 },
	{ HEADER("PROXY tcp4"), 6 },
	{ HEADER("PROXY TCP5 "), 9 },
	{ HEADER("PROXY TCP44"), 10 },
	{ HEADER("PROXY TCP4\r\n"), 10 },
	{ HEADER("PROXY UDP4 "), 7 },
	{ HEADER("PROXY UNKNOWNS"), 13 },
	{ HEADER("PROXY UNKNOWN\n"), 13 },
	{ HEADER("PROXY UNKNOWN x\n"), 15 },
	{ HEADER("PROXY UNKNOWN x\rx"), 16 },
	{ HEADER("PROXY TCP4  "), 11 },
	{ HEADER("PROXY TCP4 192.0.2.7\t"), 20 },
	{ HEADER("PROXY TCP4 192.0.2.7  "), 21 },
	{ HEADER("PROXY TCP4 192.0.2.256 "), 22 },
	{ HEADER("PROXY TCP4 192.0.2.07 "), 21 },
	{ HEADER("PROXY TCP4 192.0.2 "), 18 },
	{ HEADER("PROXY TCP4 x"), 11 },
	{ HEADER("PROXY TCP4 192.0.2.7\0"), 20 },
	{ HEADER("PROXY TCP4 192.0.2.7\r\n"), 20 },
	{ HEADER("PROXY TCP4 2001:"), 15 },
	{ HEADER("PROXY TCP4 ::ffff:192.0.2.7 "), 11 },
	{ HEADER("PROXY TCP6 192.0.2.7 "), 20 },
	{ HEADER("PROXY TCP6 2001:db8::7%"), 22 },
	{ HEADER("PROXY TCP6 2001:db8:::7 "), 23 },
	{ HEADER("PROXY TCP6 [2001:db8::7]"), 11 },
	{ HEADER("PROXY TCP6 2001:db8::7 192.0.2.256 "), 34 },
	{ HEADER("PROXY TCP4 192.0.2.7 2001:db8:::1 "), 33 },
	{ HEADER("PROXY TCP4 192.0.2.7 2001:db8::1%"), 32 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.x"), 32 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100 "), 31 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1  "), 34 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 65536 "), 39 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 000025"), 39 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 025 "), 37 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 -1"), 34 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n"), 35 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 1 \r\n"), 36 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 1 25 \r\n"), 38 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 1 25\n"), 38 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 1 25\rE"), 39 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n"), 41 },
	{ HEADER("PROXY TCP4 192.0.2.7 198.51.100.1 1 00\r\n"), 38 },
	{ HEADER("PROXY TCP6 0000:0000:0000:0000:0000:ffff:192.000.002.001 "), 56 },
	/* its fields are all right, but it has 108 octets */
	{ HEADER("PROXY TCP6 0000:0000:0000:0000:0000:ffff:255.255.255.255 "
		 "0000:0000:0000:0000:0000:ffff:255.255.255.255 1 1\r\n"),
		106 },
	/* one octet above the longest, and no end in sight */
	{ HEADER("PROXY UNKNOWN 0000000000000000000000000000000000000000000000000000000"
		 "0000000000000000000000000000000000000\r\n"),
		106 },
	/* 2.2 */
	{ HEADER("\r\r"), 1 },
	{ HEADER("\r\nQUIT"), 2 },
	{ HEADER("\r\n\r\n\r\n"), 4 },
	{ HEADER("\r\n\r\n\0\r\nQUIT\r"), 11 },
	{ HEADER(SIGNATURE "\x11"), 12 },
	{ HEADER(SIGNATURE "\x31"), 12 },
	{ HEADER(SIGNATURE "\x22"), 12 },
	{ HEADER(SIGNATURE "\x2f"), 12 },
	{ HEADER(SIGNATURE "\x01"), 12 },
	{ HEADER(SIGNATURE "\x21\x41"), 13 },
	{ HEADER(SIGNATURE "\x21\xf1"), 13 },
	{ HEADER(SIGNATURE "\x21\x13"), 13 },
	{ HEADER(SIGNATURE "\x21\x1f"), 13 },
	/* too short for its content */
	{ HEADER(SIGNATURE "\x21\x11\0\x0b" IPV4_ADDRESSES), 15 },
	{ HEADER(SIGNATURE "\x21\x11\0\0" IPV4_ADDRESSES), 15 },
	{ HEADER(SIGNATURE "\x21\x21\0\x23" IPV6_ADDRESSES), 15 },
	{ HEADER(SIGNATURE "\x21\x31\0\xd7"), 15 },
	/* longer than any */
	{ HEADER(SIGNATURE "\x21\x11\x0f\xf1"), 15 },
	{ HEADER(SIGNATURE "\x21\x11\xff\xff"), 15 },
	{ HEADER(SIGNATURE "\x20\x00\xff\xff"), 15 },
};

static void test_what_is_no_header_is_told_at_once(void)
{
	for (size_t i = 0; i < TEST_COUNT(bad); i++)
		for (size_t n = 0; n <= bad[i].octets.n; n++) {
			const struct span part = { bad[i].octets.p, n };
			struct proxy_header h = untouched;
			enum proxy_step want =
				n <= bad[i].at ? PROXY_MORE : PROXY_MALFORMED;
			if (!CHECK(show(part, SPAN(""), &h) == want) ||
				!CHECK(is_untouched(&h)))
				fprintf(stderr, "\trow %zu: %zu octets\n", i, n);
		}
}

static void test_nothing_that_follows_makes_it_good(void)
{
	for (size_t i = 0; i < TEST_COUNT(bad); i++)
		for (size_t j = 0; j < TEST_COUNT(behind); j++) {
			struct proxy_header h = untouched;
			enum proxy_step step = show(bad[i].octets, behind[j], &h);
			if (!CHECK(step == PROXY_MALFORMED))
				fprintf(stderr, "\trow %zu\n", i);
		}
}

/* The longest that is taken, with TLVs of all kinds of octets. */
static void test_a_long_header_is_skipped_to_its_end(void)
{
	static const char start[] =
		SIGNATURE "\x21\x11\x0f\xf0" IPV4_ADDRESSES; /* 4080 octets */
	char octets[PROXY_HEADER_MAX + 1];
	struct proxy_header h;

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (char)i;
	memcpy(octets, start, sizeof(start) - 1);
	for (size_t n = 16; n < PROXY_HEADER_MAX; n++)
		CHECK(proxy_parse((struct span){ octets, n }, &h) == PROXY_MORE);
	CHECK(proxy_parse((struct span){ octets, sizeof(octets) }, &h) == PROXY_DONE);
	CHECK(h.n == PROXY_HEADER_MAX);
	CHECK(h.port == 0x1234);
}

static void test_a_local_address_is_skipped(void)
{
	char octets[16 + 216] = SIGNATURE "\x21\x31\0\xd8/run/x";
	struct proxy_header h;

	CHECK(proxy_parse((struct span){ octets, sizeof(octets) - 1 }, &h) == PROXY_MORE);
	CHECK(proxy_parse((struct span){ octets, sizeof(octets) }, &h) == PROXY_DONE);
	CHECK(h.n == sizeof(octets));
	CHECK(h.client.n == 0);
	CHECK(h.port == 0);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_header_is_read),
		TEST(test_less_than_a_header_asks_for_more),
		TEST(test_what_is_no_header_is_told_at_once),
		TEST(test_nothing_that_follows_makes_it_good),
		TEST(test_a_long_header_is_skipped_to_its_end),
		TEST(test_a_local_address_is_skipped),
	};

	return test_main(tests, TEST_COUNT(tests));
}
