/* SPDX-License-Identifier: ISC */
/* proto/network: addresses as values (RFC 4291 2.2), networks by prefix (RFC 4632 3.1). */
#include "proto/network.h"
#include "unit/test.h"

static void check_ip(const char *text, const char *written)
{
	char octets[IP_TEXT_MAX];
	struct buf b = BUF(octets);
	struct ip ip = { .n = 99 };
	bool ok = ip_parse(span_of(text), &ip);

	ok = CHECK(ok == (written != NULL)) && ok;
	if (ok)
		ip_put(&b, &ip);
	else
		ok = CHECK(ip.n == 99) && !written;
	if (!ok || (written && !CHECK_SPAN(buf_span(&b), written)))
		fprintf(stderr, "\tof %s\n", text);
}

static void test_an_address_has_one_text(void)
{
	static const struct {
		const char *text, *written;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "2001:0DB8:0:0:0:0:0:0001", "2001:db8::1" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		/* RFC 4291 2.5.5.2 */
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::FFFF:c000:0201", "192.0.2.1" },
		{ "0000:0000:0000:0000:0000:ffff:192.0.2.255", "192.0.2.255" },
		{ "::fffe:192.0.2.1", "::fffe:c000:201" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		check_ip(cases[i].text, cases[i].written);
}

static void test_what_is_no_address(void)
{
	static const char *const cases[] = { "", ".", ":", "1", "192.0.2", "192.0.2.",
		"192.0.2.256", "192.0.2.01", "192.0.2.1.", "192.0.2.1 ", " 192.0.2.1",
		"192.0.2.1/32", "0x7f.0.0.1", "3221225985", ":::", "2001:db8:::1",
		"2001:db8::1::", "12345::", "::g", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
		"fe80::1%eth0", "fe80::1%1", "[2001:db8::1]", "mail.example.org",
		"0000:0000:0000:0000:0000:ffff:192.0.2.2555",
		"0000:0000:0000:0000:0000:0000:0000:00000000000000001" };
	struct ip ip;

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		check_ip(cases[i], NULL);
	CHECK(!ip_parse((struct span){ "192.0.2.1\0", 10 }, &ip));
	CHECK(!ip_parse((struct span){ "\0", 1 }, &ip));
	CHECK(!ip_parse((struct span){ NULL, 0 }, &ip));
}

static void test_no_address_has_no_text(void)
{
	struct ip none = { .n = 0 };
	char octets[IP_TEXT_MAX];
	struct buf b = BUF(octets);

	ip_put(&b, &none);
	CHECK(b.n == 0 && !b.overflow);
}

static void test_a_network_has_an_address_and_a_prefix(void)
{
	static const struct {
		const char *text, *ip;
		size_t prefix;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", 24 },
		{ "192.0.2.128/25", "192.0.2.128", 25 },
		{ "192.0.2.254/31", "192.0.2.254", 31 },
		{ "192.0.2.1", "192.0.2.1", 32 },
		{ "192.0.2.1/32", "192.0.2.1", 32 },
		{ "0.0.0.0/0", "0.0.0.0", 0 },
		{ "128.0.0.0/1", "128.0.0.0", 1 },
		{ "2001:db8::/32", "2001:db8::", 32 },
		{ "2001:db8:8000::/33", "2001:db8:8000::", 33 },
		{ "2001:db8::1", "2001:db8::1", 128 },
		{ "2001:db8::1/128", "2001:db8::1", 128 },
		{ "::/0", "::", 0 },
		/* mapped networks are those of IPv4 */
		{ "::ffff:192.0.2.0/120", "192.0.2.0", 24 },
		{ "::ffff:0:0/96", "0.0.0.0", 0 },
		{ "::ffff:192.0.2.1", "192.0.2.1", 32 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct network n = { .prefix = 99 };
		char octets[IP_TEXT_MAX];
		struct buf b = BUF(octets);
		if (!CHECK(!network_parse(span_of(cases[i].text), &n)))
			fprintf(stderr, "\t%s\n", cases[i].text);
		ip_put(&b, &n.ip);
		CHECK_SPAN(buf_span(&b), cases[i].ip);
		CHECK(n.prefix == cases[i].prefix);
	}
}

static void test_what_is_no_network_is_told_why(void)
{
	static const char address[] = "is not a network such as";
	static const char cut[] = "has bits set behind its prefix";
	static const struct {
		const char *text, *fault;
	} cases[] = {
		{ "", address },
		{ "/", address },
		{ "/24", address },
		{ "192.0.2/24", address },
		{ "mail.example.org", address },
		{ "fe80::1%eth0/64", address },
		{ "fe80::%eth0/10", address },
		{ "192.0.2.0/255.255.255.0", "not a number from 0 to 32" },
		{ "192.0.2.0/", "not a number from 0 to 32" },
		{ "192.0.2.0/33", "not a number from 0 to 32" },
		{ "192.0.2.0/024", "not a number from 0 to 32" },
		{ "192.0.2.0/00", "not a number from 0 to 32" },
		{ "192.0.2.0/+24", "not a number from 0 to 32" },
		{ "192.0.2.0/-1", "not a number from 0 to 32" },
		{ "192.0.2.0/24 ", "not a number from 0 to 32" },
		{ "192.0.2.0/24/24", "not a number from 0 to 32" },
		{ "192.0.2.0/18446744073709551640", "not a number from 0 to 32" },
		{ "2001:db8::/129", "not a number from 0 to 128" },
		{ "2001:db8::/x", "not a number from 0 to 128" },
		{ "192.0.2.1/24", cut },
		{ "192.0.2.0/22", cut },
		{ "192.0.2.129/31", cut },
		{ "255.255.255.255/0", cut },
		{ "0.0.0.1/0", cut },
		{ "128.0.0.0/0", cut },
		{ "2001:db8::1/32", cut },
		{ "2001:db8:8000::/32", cut },
		{ "::1/0", cut },
		{ "::1/127", cut },
		/* the bits that make it IPv4 are above 95 of its prefix */
		{ "::ffff:0:0/95", cut },
		{ "::ffff:192.0.2.0/24", cut },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct network n = { .prefix = 99 };
		const char *fault = network_parse(span_of(cases[i].text), &n);
		if (!CHECK(fault && strstr(fault, cases[i].fault)) ||
			!CHECK(n.prefix == 99))
			fprintf(stderr, "\t%s: %s\n", cases[i].text, fault ? fault : "");
	}
}

static bool has(const char *network, const char *address)
{
	struct network n;
	struct ip ip;

	REQUIRE(!network_parse(span_of(network), &n));
	REQUIRE(ip_parse(span_of(address), &ip));
	return network_has(&n, &ip);
}

static void test_a_network_has_what_its_prefix_says(void)
{
	static const struct {
		const char *network, *in, *out;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", "192.0.3.0" },
		{ "192.0.2.0/24", "192.0.2.255", "192.0.1.255" },
		{ "192.0.2.128/25", "192.0.2.128", "192.0.2.127" },
		{ "192.0.2.0/31", "192.0.2.1", "192.0.2.2" },
		{ "192.0.2.1", "192.0.2.1", "192.0.2.0" },
		{ "128.0.0.0/1", "255.0.0.1", "127.255.255.255" },
		{ "0.0.0.0/0", "255.255.255.255", "::" },
		{ "0.0.0.0/0", "::ffff:192.0.2.1", "2001:db8::1" },
		{ "192.0.2.0/24", "::ffff:192.0.2.9", "::192.0.2.9" },
		{ "::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9" },
		{ "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1" },
		{ "2001:db8:8000::/33", "2001:db8:8000::", "2001:db8:7fff::" },
		{ "2001:db8::1", "2001:db8::1", "2001:db8::3" },
		/* all of IPv6 is not IPv4, which wears its clothes at times */
		{ "::/0", "2001:db8::1", "192.0.2.1" },
		{ "::/0", "::", "::ffff:192.0.2.1" },
		{ "::/80", "::1", "::ffff:192.0.2.1" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		if (!CHECK(has(cases[i].network, cases[i].in)) ||
			!CHECK(!has(cases[i].network, cases[i].out)))
			fprintf(stderr, "\t%s\n", cases[i].network);
}

static void test_no_network_has_an_unknown_address(void)
{
	struct ip none = { .n = 0 };
	struct network n;

	REQUIRE(!network_parse(SPAN("0.0.0.0/0"), &n));
	CHECK(!network_has(&n, &none));
	REQUIRE(!network_parse(SPAN("::/0"), &n));
	CHECK(!network_has(&n, &none));
}

static int compare(const char *a, const char *b)
{
	struct network x, y;

	REQUIRE(!network_parse(span_of(a), &x));
	REQUIRE(!network_parse(span_of(b), &y));
	return network_compare(&x, &y);
}

static void test_two_addresses_are_the_same_or_not(void)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "::ffff:192.0.2.1", "192.0.2.1", true },
		{ "2001:db8::1", "2001:DB8:0::1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "2001:db8::1", "2001:db8::2", false },
		{ "192.0.2.1", "c000:201::", false },
		{ "0.0.0.0", "::", false },
	};
	const struct ip none = { .n = 0 };

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct ip a, b;
		CHECK(ip_parse(span_of(cases[i].a), &a));
		CHECK(ip_parse(span_of(cases[i].b), &b));
		CHECK(ip_is_same(&a, &b) == cases[i].same);
		CHECK(!ip_is_same(&a, &none) && !ip_is_same(&none, &a));
	}
	CHECK(ip_is_same(&none, &none));
}

static void test_the_more_specific_network_comes_first(void)
{
	static const struct {
		const char *first, *second;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.0/24" },
		{ "192.0.2.0/25", "192.0.2.0/24" },
		{ "0.0.0.0/1", "0.0.0.0/0" },
		{ "2001:db8::/33", "2001:db8::/32" },
		{ "::ffff:192.0.2.0/121", "192.0.2.0/24" },
		/* what cannot both have an address has some order, too */
		{ "192.0.2.0/24", "192.0.3.0/24" },
		{ "0.0.0.0/0", "::/0" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		CHECK(compare(cases[i].first, cases[i].second) < 0);
		CHECK(compare(cases[i].second, cases[i].first) > 0);
		CHECK(compare(cases[i].first, cases[i].first) == 0);
	}
	CHECK(compare("::ffff:192.0.2.0/120", "192.0.2.0/24") == 0);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_an_address_has_one_text),
		TEST(test_what_is_no_address),
		TEST(test_no_address_has_no_text),
		TEST(test_a_network_has_an_address_and_a_prefix),
		TEST(test_what_is_no_network_is_told_why),
		TEST(test_a_network_has_what_its_prefix_says),
		TEST(test_no_network_has_an_unknown_address),
		TEST(test_two_addresses_are_the_same_or_not),
		TEST(test_the_more_specific_network_comes_first),
	};

	return test_main(tests, TEST_COUNT(tests));
}
