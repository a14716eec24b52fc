/* SPDX-License-Identifier: ISC */
/*
 * proto/tls-hello: the description of a client's first octets, which may be incomplete; nothing outside of them is
 * read.
 */
#include "proto/tls-hello.h"

#include "proto/tls-names.h"
#include "unit/test.h"

#define RANDOM "0123456789abcdef0123456789abcdef"

/* TLS 1.2's own: no extensions at all */
#define OLD_HELLO                                                                        \
	"\3\3" RANDOM "\0"                                                               \
	"\0\4\xc0\x2f\0\x35"                                                             \
	"\1\0"
/*
 * a session id, GREASE first everywhere (RFC 8701 2), two extensions of which the second
 * has the versions
 */
#define NEW_HELLO                                                                        \
	"\3\3" RANDOM "\4abcd"                                                           \
	"\0\6\x3a\x3a\x13\1\x13\2"                                                       \
	"\1\0"                                                                           \
	"\0\x11"                                                                         \
	"\x4a\x4a\0\1\0"                                                                 \
	"\0\x2b\0\7\6\xda\xda\3\4\3\3"                                                   \
	"\0"
/* all that is looked for: a name, groups, signatures, protocols */
#define FULL_HELLO                                                                       \
	"\3\3" RANDOM "\0"                                                               \
	"\0\6\x13\1\0\xff\x56\0"                                                         \
	"\1\0"                                                                           \
	"\0\x48"                                                                         \
	"\0\0\0\x11\0\xf\0\0\xcmail.example"                                             \
	"\0\xa\0\x8\0\6\x2a\x2a\0\x1d\x11\xec"                                           \
	"\0\xd\0\x6\0\4\4\3\x09\x04"                                                     \
	"\0\x10\0\x10\0\xe\2\x1a\x1a\4smtp\5"                                            \
	"a\"\nb "                                                                        \
	"\0\x2b\0\5\4\3\4\3\3"

#define HELLO_MAX 512

/* The message in records of at most `piece` octets, in memory of exactly their size. */
static struct bytes in_records(struct span hello, size_t piece)
{
	char message[HELLO_MAX] = { 1, 0, (char)(hello.n >> 8), (char)hello.n };
	size_t n = hello.n + 4;
	struct bytes out = { malloc(6 * HELLO_MAX), 0 };

	REQUIRE(out.p && n <= sizeof(message));
	memcpy(message + 4, hello.p, hello.n);
	for (size_t i = 0; i < n; i += piece) {
		size_t m = n - i < piece ? n - i : piece;
		const char header[] = { 22, 3, 1, (char)(m >> 8), (char)m };

		memcpy(out.p + out.n, header, sizeof(header));
		memcpy(out.p + out.n + sizeof(header), message + i, m);
		out.n += sizeof(header) + m;
	}
	out.p = realloc(out.p, out.n);
	return out;
}

static struct tls_opening read_all(struct span octets)
{
	char *copy = malloc(octets.n ? octets.n : 1);
	struct tls_opening o;

	REQUIRE(copy);
	memcpy(copy, octets.p, octets.n);
	tls_opening_read((struct bytes){ copy, octets.n }, &o);
	free(copy);
	return o;
}

static struct tls_opening read_hello(struct span hello)
{
	struct bytes in = in_records(hello, HELLO_MAX);
	struct tls_opening o = read_all((struct span){ in.p, in.n });

	free(in.p);
	return o;
}

static void check_offer(const struct tls_opening *o, const char *want)
{
	char text[4096];
	struct buf b = BUF(text);

	tls_terms_put(&b, &o->offered);
	CHECK(!b.overflow);
	CHECK_SPAN(buf_span(&b), want);
}

static void test_versions_and_suites_are_told(void)
{
	static const struct {
		struct span hello;
		bool or_older;
		const char *text;
	} cases[] = {
		{ SPAN(OLD_HELLO), true,
			"versions TLS1.2; suites TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 "
			"TLS_RSA_WITH_AES_256_CBC_SHA" },
		{ SPAN(NEW_HELLO), false,
			"versions TLS1.3 TLS1.2; suites TLS_AES_128_GCM_SHA256 "
			"TLS_AES_256_GCM_SHA384" },
		{ SPAN(FULL_HELLO), false,
			"versions TLS1.3 TLS1.2; suites TLS_AES_128_GCM_SHA256; groups "
			"x25519 X25519MLKEM768; signatures ecdsa_secp256r1_sha256 "
			"0x0904; alpn smtp a\\x22\\x0Ab " },
		{ SPAN("\3\0" RANDOM "\0\0\2\0\5\1\0"), true,
			"versions SSL3.0; suites TLS_RSA_WITH_RC4_128_SHA" },
		{ SPAN("\3\1" RANDOM "\0\0\2\0\5\1\0"), true,
			"versions TLS1.0; suites TLS_RSA_WITH_RC4_128_SHA" },
		/* half a value of RFC 8701 is none; a protocol without a name is left out */
		{ SPAN("\3\1" RANDOM "\0\0\4\0\5\x1a\x2a\1\0"), true,
			"versions TLS1.0; suites TLS_RSA_WITH_RC4_128_SHA 0x1a2a" },
		{ SPAN("\3\3" RANDOM "\0\0\2\0\5\1\0\0\xa\0\x10\0\6\0\4\0\2h2"), true,
			"versions TLS1.2; suites TLS_RSA_WITH_RC4_128_SHA; alpn h2" },
		{ SPAN("\2\0" RANDOM "\0\0\2\0\5\1\0"), true,
			"versions 0x0200; suites TLS_RSA_WITH_RC4_128_SHA" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct tls_opening o = read_hello(cases[i].hello);

		CHECK(o.kind == TLS_OPENING_HELLO);
		CHECK(o.or_older == cases[i].or_older);
		CHECK(o.alert == TLS_NO_ALERT);
		check_offer(&o, cases[i].text);
	}
}

/* TLS_FALLBACK_SCSV: RFC 7507 2 */
static void test_name_and_signals_are_told(void)
{
	struct tls_opening o = read_hello(SPAN(FULL_HELLO));

	CHECK_SPAN(span_of(o.name), "mail.example");
	CHECK(o.fallback && !o.bad_name);
	o = read_hello(SPAN(OLD_HELLO));
	CHECK_SPAN(span_of(o.name), "");
	CHECK(!o.fallback && !o.bad_name);
}

#define WITH_NAME(extension) SPAN("\3\3" RANDOM "\0\0\2\0\5\1\0" extension)

static void test_names_that_cannot_be_one_are_not_shown(void)
{
	static const struct {
		struct span hello;
		bool bad;
		const char *name, *odd;
	} cases[] = {
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3abc"), false, "abc", "" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3a\0c"), true, "", "a\\x00c" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3a c"), true, "", "a c" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3a\"c"), true, "", "a\\x22c" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3a\\c"), true, "", "a\\x5Cc" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3a\xff"
			    "c"),
			true, "", "a\\xFFc" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3a\nc"), true, "", "a\\x0Ac" },
		{ WITH_NAME("\0\x9\0\0\0\x5\0\3\0\0\0"), true, "", "" },
		/* Real sender 22, RFC 6066 3: plain, but not what GnuTLS takes */
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3::1"), true, "::1", "::1" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3a_b"), true, "a_b", "a_b" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3a{b"), true, "a{b", "a{b" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3mx1"), false, "mx1", "" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3a\x7f"
			    "c"),
			true, "", "a\\x7Fc" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\0\0\3A-."), false, "A-.", "" },
		/* of another type: before the one that counts, and alone */
		{ WITH_NAME("\0\x12\0\0\0\xe\0\xc\1\0\3xyz\0\0\3abc"), false, "abc", "" },
		{ WITH_NAME("\0\xc\0\0\0\x8\0\6\1\0\3abc"), false, "", "" },
		{ WITH_NAME("\0\x4\0\0\0\0"), false, "", "" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct tls_opening o = read_hello(cases[i].hello);

		if (!CHECK(o.bad_name == cases[i].bad))
			fprintf(stderr, "\trow %zu\n", i);
		CHECK_SPAN(span_of(o.name), cases[i].name);
		CHECK_SPAN(span_of(o.odd_name), cases[i].odd);
	}
}

/* 255 octets are a name, 256 are none. */
static void test_a_name_has_an_end(void)
{
	char hello[HELLO_MAX] = "\3\3" RANDOM "\0\0\2\0\5\1\0";

	for (size_t n = 255; n <= 256; n++) {
		const unsigned char head[] = { (n + 9) >> 8, (n + 9) & 255, 0, 0,
			(n + 5) >> 8, (n + 5) & 255, (n + 3) >> 8, (n + 3) & 255, 0,
			n >> 8, n & 255 };
		struct tls_opening o;

		memcpy(hello + 41, head, sizeof(head));
		memset(hello + 41 + sizeof(head), 'a', n);
		o = read_hello((struct span){ hello, 41 + sizeof(head) + n });
		CHECK(o.bad_name == (n == 256));
		CHECK(strlen(o.name) == (n == 256 ? 0 : 255));
	}
}

static void test_fragments_are_put_together(void)
{
	for (size_t piece = 1; piece < 64; piece++) {
		struct bytes in = in_records(SPAN(FULL_HELLO), piece);
		struct tls_opening o = read_all((struct span){ in.p, in.n });

		CHECK(o.kind == TLS_OPENING_HELLO);
		check_offer(&o,
			"versions TLS1.3 TLS1.2; suites TLS_AES_128_GCM_SHA256; groups "
			"x25519 X25519MLKEM768; signatures ecdsa_secp256r1_sha256 "
			"0x0904; alpn smtp a\\x22\\x0Ab ");
		CHECK_SPAN(span_of(o.name), "mail.example");
		free(in.p);
	}
}

static void test_of_a_torn_hello_nothing_is_read_behind_its_end(void)
{
	struct bytes in = in_records(SPAN(FULL_HELLO), HELLO_MAX);
	struct tls_opening o;

	for (size_t n = 1; n <= in.n; n++) {
		/* Memory of exactly these octets, so that a sanitizer detects a read behind them. */
		o = read_all((struct span){ in.p, n });
		CHECK(o.kind == (n < in.n ? TLS_OPENING_TORN : TLS_OPENING_HELLO));
	}
	free(in.p);
	o = read_hello(SPAN("\3\3" RANDOM "\xff"));
	check_offer(&o, "versions TLS1.2");
	o = read_hello(SPAN("\3\3" RANDOM "\0\0\4\xc0\x2f\0"));
	check_offer(&o, "versions TLS1.2");
	o = read_hello(SPAN("\3\3" RANDOM "\0\0\3\xc0\x2f\0\1\0"));
	check_offer(&o, "versions TLS1.2; suites TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
}

static void test_a_list_without_end_is_cut(void)
{
	char hello[2 + 32 + 1 + 2 + 400 + 2] = "\3\3" RANDOM "\0\x01\x90";
	struct tls_opening o;
	char text[4096];
	struct buf b = BUF(text);

	for (size_t i = 0; i < 200; i++) {
		hello[37 + 2 * i] = (char)0xfe;
		hello[38 + 2 * i] = (char)i;
	}
	hello[437] = 1;
	o = read_hello((struct span){ hello, sizeof(hello) });
	CHECK(o.kind == TLS_OPENING_HELLO);
	CHECK(o.offered.suites.n == TLS_LIST_MAX && o.offered.suites.cut);
	tls_terms_put(&b, &o.offered);
	CHECK(span_ends(buf_span(&b), SPAN(" 0xfe17 and 72 more")));
}

/* Many names of protocols, long ones and GREASE: as many whole names as fit are shown. */
static void test_protocols_stay_in_bounds(void)
{
	char hello[HELLO_MAX] = "\3\3" RANDOM "\0\0\2\0\5\1\0\0\xa6\0\x10\0\xa2\0\xa0";
	struct tls_opening o;

	memset(hello + 49, 'x', 160);
	for (size_t i = 0; i < 4; i++)
		hello[49 + 40 * i] = 39;
	o = read_hello((struct span){ hello, 49 + 160 });
	CHECK(o.kind == TLS_OPENING_HELLO);
	CHECK_SPAN(span_of(o.offered.alpn), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx...");
}

static void test_hellos_of_ssl_2_are_read(void)
{
	static const struct {
		struct span octets;
		enum tls_opening_kind kind;
		const char *text;
	} cases[] = {
		{ SPAN("\x80\x2e\1\0\2\0\x15\0\0\0\x10"
		       "\7\0\xc0\5\0\x80\3\0\x80\1\0\x80\6\0\x40\4\0\x80\2\0\x80"
		       "0123456789abcdef"),
			TLS_OPENING_HELLO, "versions SSL2.0" },
		{ SPAN("\x80\x1f\1\3\1\0\6\0\0\0\x10\0\0\5\1\0\x80"
		       "0123456789abcdef"),
			TLS_OPENING_HELLO,
			"versions TLS1.0; suites TLS_RSA_WITH_RC4_128_SHA" },
		{ SPAN("\x80\x1f\1\3\0\0\6\0\0\0\x10\0\0\5\0\0"), TLS_OPENING_TORN,
			"versions SSL3.0" },
		{ SPAN("\x80\x1f\1\3\1\0\6"), TLS_OPENING_TORN, "versions TLS1.0" },
		{ SPAN("\x80\x1f\2\3\1\0\6"), TLS_OPENING_OTHER, "" },
		{ SPAN("\x80\x1f\1\7\1\0\6"), TLS_OPENING_OTHER, "" },
		{ SPAN("\x80\x1f\1\0"), TLS_OPENING_OTHER, "" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct tls_opening o = read_all(cases[i].octets);

		CHECK(o.kind == cases[i].kind);
		CHECK(o.or_older == (o.kind != TLS_OPENING_OTHER));
		check_offer(&o, cases[i].text);
	}
}

static void test_what_is_no_hello_is_told_apart(void)
{
	static const struct {
		struct span octets;
		enum tls_opening_kind kind;
		const char *first;
	} cases[] = {
		{ SPAN(""), TLS_OPENING_NOTHING, "" },
		{ SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), TLS_OPENING_HTTP,
			"GET / HTTP/1.1" },
		{ SPAN("GET /a/very/long/path/indeed HTTP/1.0\n"), TLS_OPENING_HTTP,
			"GET /a/very/long/path/in" },
		{ SPAN("EHLO client.example.org\r\n"), TLS_OPENING_TEXT,
			"EHLO client.example.org" },
		{ SPAN("EHLO \"\\\r\n"), TLS_OPENING_TEXT, "EHLO \\x22\\x5C" },
		{ SPAN("QUIT"), TLS_OPENING_TEXT, "QUIT" },
		{ SPAN("x\ty\r\n"), TLS_OPENING_TEXT, "x\\x09y" },
		{ SPAN("x\ny\n"), TLS_OPENING_TEXT, "x" },
		{ SPAN("\nx\n"), TLS_OPENING_OTHER, "\\x0Ax\\x0A" },
		{ SPAN("x\x7f\n"), TLS_OPENING_OTHER, "x\\x7F\\x0A" },
		{ SPAN("x\0y\r\n"), TLS_OPENING_OTHER, "x\\x00y\\x0D\\x0A" },
		{ SPAN("\r\nEHLO x\r\n"), TLS_OPENING_OTHER, "\\x0D\\x0AEHLO x" },
		{ SPAN("caf\xe9\r\n"), TLS_OPENING_OTHER, "caf\\xE9\\x0D\\x0A" },
		{ SPAN("\0\0\0\0\0\0\0\0\0\0"), TLS_OPENING_OTHER,
			"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00" },
		{ SPAN("\x16"), TLS_OPENING_TORN, "\\x16" },
		{ SPAN("\x16\2"), TLS_OPENING_OTHER, "\\x16\\x02" },
		{ SPAN("\x16\3\1\0\4\2\0\0\0"), TLS_OPENING_OTHER,
			"\\x16\\x03\\x01\\x00\\x04\\x02\\x00\\x00" },
		{ SPAN("\x17\3\3\0\1x"), TLS_OPENING_OTHER,
			"\\x17\\x03\\x03\\x00\\x01x" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct tls_opening o = read_all(cases[i].octets);

		if (!CHECK(o.kind == cases[i].kind))
			fprintf(stderr, "\trow %zu: %d\n", i, (int)o.kind);
		CHECK_SPAN(span_of(o.first), cases[i].first);
		CHECK(o.alert == TLS_NO_ALERT);
	}
}

#define SHORT_HELLO "\x16\3\1\0\6\1\0\0\2\3\3"

static void test_alerts_in_the_clear_are_noted(void)
{
	static const struct {
		struct span octets;
		enum tls_opening_kind kind;
		int alert;
	} cases[] = {
		{ SPAN("\x15\3\1\0\2\2\x28"), TLS_OPENING_OTHER, 40 },
		{ SPAN("\x15\3\1\0\2\2"), TLS_OPENING_OTHER, TLS_NO_ALERT },
		{ SPAN("\x15\3"), TLS_OPENING_OTHER, TLS_NO_ALERT },
		{ SPAN(SHORT_HELLO "\x15\3\3\0\2\2\x30"), TLS_OPENING_HELLO, 48 },
		{ SPAN(SHORT_HELLO "\x14\3\3\0\1\1\x15\3\3\0\2\2\x30"), TLS_OPENING_HELLO,
			48 },
		/* warnings: only those that announce the end */
		{ SPAN(SHORT_HELLO "\x15\3\3\0\2\1\0"), TLS_OPENING_HELLO, 0 },
		{ SPAN(SHORT_HELLO "\x15\3\3\0\2\1\x5a"), TLS_OPENING_HELLO, 90 },
		{ SPAN(SHORT_HELLO "\x15\3\3\0\2\1\x70"), TLS_OPENING_HELLO,
			TLS_NO_ALERT },
		/* sealed ones are longer */
		{ SPAN(SHORT_HELLO "\x15\3\3\0\3\2\x30\0"), TLS_OPENING_HELLO,
			TLS_NO_ALERT },
		/* the last one counts */
		{ SPAN(SHORT_HELLO "\x15\3\3\0\2\1\x5a\x15\3\3\0\2\1\0"),
			TLS_OPENING_HELLO, 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct tls_opening o = read_all(cases[i].octets);

		CHECK(o.kind == cases[i].kind);
		if (!CHECK(o.alert == cases[i].alert))
			fprintf(stderr, "\trow %zu: %d\n", i, o.alert);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_versions_and_suites_are_told),
		TEST(test_name_and_signals_are_told),
		TEST(test_names_that_cannot_be_one_are_not_shown),
		TEST(test_a_name_has_an_end),
		TEST(test_fragments_are_put_together),
		TEST(test_of_a_torn_hello_nothing_is_read_behind_its_end),
		TEST(test_a_list_without_end_is_cut),
		TEST(test_protocols_stay_in_bounds),
		TEST(test_hellos_of_ssl_2_are_read),
		TEST(test_what_is_no_hello_is_told_apart),
		TEST(test_alerts_in_the_clear_are_noted),
	};

	return test_main(tests, TEST_COUNT(tests));
}
