/* SPDX-License-Identifier: ISC */
/* proto/dsn: the values of RET, ENVID, NOTIFY and ORCPT (RFC 3461 4, RFC 6533 3). */
#include "proto/dsn.h"
#include "unit/test.h"

#define TEN "0123456789"
#define NINETY TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define HUNDRED NINETY TEN

static void test_notify(void)
{
	static const struct {
		const char *value;
		bool success;
	} valid[] = {
		{ "NEVER", false },
		{ "never", false },
		{ "SUCCESS", true },
		{ "FAILURE", false },
		{ "DELAY", false },
		{ "SUCCESS,FAILURE,DELAY", true },
		{ "failure,Success", true },
		{ "DELAY,FAILURE", false },
		/* RFC 822 2.7: a list may have an element twice, and empty elements */
		{ "SUCCESS,SUCCESS", true },
		{ "FAILURE,,SUCCESS", true },
		{ ",DELAY,", false },
	};
	static const char *const invalid[] = { "", ",", ",,", "NEVER,SUCCESS",
		"SUCCESS,NEVER", "NEVER,NEVER", "NEVER,", "SUCCES", "SUCCESSS", "ALL",
		"SUCCESS;FAILURE", "SUCCESS FAILURE", "SUCCESS, FAILURE" };

	for (size_t i = 0; i < TEST_COUNT(valid); i++) {
		bool success = !valid[i].success;
		if (!CHECK(dsn_notify(span_of(valid[i].value), &success)) ||
			!CHECK(success == valid[i].success))
			fprintf(stderr, "\t%s\n", valid[i].value);
	}
	for (size_t i = 0; i < TEST_COUNT(invalid); i++)
		for (int before = 0; before < 2; before++) {
			bool success = before;
			if (!CHECK(!dsn_notify(span_of(invalid[i]), &success)))
				fprintf(stderr, "\t%s\n", invalid[i]);
			CHECK(success == before);
		}
}

static void test_ret(void)
{
	CHECK(dsn_is_ret(SPAN("FULL")));
	CHECK(dsn_is_ret(SPAN("HDRS")));
	CHECK(dsn_is_ret(SPAN("fUll")));
	CHECK(dsn_is_ret(SPAN("hdrs")));
	CHECK(!dsn_is_ret(SPAN("")));
	CHECK(!dsn_is_ret(SPAN("HDR")));
	CHECK(!dsn_is_ret(SPAN("HEADERS")));
	CHECK(!dsn_is_ret(SPAN("FULL,HDRS")));
}

static void test_envid(void)
{
	CHECK(dsn_is_envid(SPAN("QQ314159")));
	CHECK(dsn_is_envid(SPAN("a+2Bb+3D")));
	CHECK(dsn_is_envid(SPAN(HUNDRED)));
	CHECK(!dsn_is_envid(SPAN(HUNDRED "0")));
	CHECK(!dsn_is_envid(SPAN("")));
	CHECK(!dsn_is_envid(SPAN("a+0Ab")));
	CHECK(!dsn_is_envid(SPAN("a+00b")));
	CHECK(!dsn_is_envid(SPAN("a+2bb")));
}

static void test_orcpt(void)
{
	static const struct {
		const char *value;
		/* in a report; NULL: not valid. The second where UTF-8 may be in it */
		const char *plain, *utf8;
	} cases[] = {
		{ "rfc822;Bob@Example.COM", "rfc822; Bob@Example.COM", "" },
		{ "RFC822;bob+2Btag@example.com", "RFC822; bob+tag@example.com", "" },
		{ "rfc822;+22a+20b+22@example.com", "rfc822; \"a b\"@example.com", "" },
		{ "rfc822;", "rfc822; ", "" },
		{ "rfc822;a;b", "rfc822; a;b", "" },
		{ "x400;/S+3Da/", "x400; /S=a/", "" },
		{ "X-!#$%&'*+-/?^_`{|}~;x", "X-!#$%&'*+-/?^_`{|}~; x", "" },
		{ "utf-8;bob@example.com", "utf-8; bob@example.com", "" },
		{ "UTF-8;caf\\x{E9}", "UTF-8; caf\\x{E9}", "UTF-8; caf\xc3\xa9" },
		{ "utf-8;caf\xc3\xa9", NULL, "utf-8; caf\xc3\xa9" },
		{ "", NULL, NULL },
		{ ";", NULL, NULL },
		{ "rfc822", NULL, NULL },
		{ ";bob@example.com", NULL, NULL },
		{ "bob@example.com", NULL, NULL },
		{ "rfc 822;bob", NULL, NULL },
		{ "rfc.822;bob", NULL, NULL },
		{ "rfc(822);bob", NULL, NULL },
		{ "rfc\"822;bob", NULL, NULL },
		{ "rfc\\822;bob", NULL, NULL },
		{ "rfc\xc3\xa9;bob", NULL, NULL },
		{ "rfc\x7f;bob", NULL, NULL },
		{ "rfc822;a=b", NULL, NULL },
		{ "rfc822;a b", NULL, NULL },
		{ "rfc822;a+0Ab", NULL, NULL },
		{ "rfc822;a+0db", NULL, NULL },
		{ "rfc822;a+00b", NULL, NULL },
		{ "rfc822;caf+C3+A9", NULL, NULL },
		{ "rfc822;caf\xc3\xa9", NULL, NULL },
		{ "utf-8;", NULL, NULL },
		{ "utf-8;a+2Bb", NULL, NULL },
		{ "utf-8;a\\x{0A}b", NULL, NULL },
		{ "utf-8;caf\xe9", NULL, NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		for (int utf8 = 0; utf8 < 2; utf8++) {
			struct span value = span_of(cases[i].value);
			const char *want = cases[i].plain;
			char octets[64];
			struct buf b = BUF(octets);

			if (utf8 && (!cases[i].utf8 || cases[i].utf8[0]))
				want = cases[i].utf8;
			if (!CHECK(dsn_is_orcpt(value, utf8) == (want != NULL)))
				fprintf(stderr, "\t%s\n", cases[i].value);
			if (!want)
				continue;
			dsn_put_orcpt(&b, value, utf8);
			CHECK_SPAN(buf_span(&b), want);
		}
}

static void test_orcpt_has_a_longest_value(void)
{
	CHECK(dsn_is_orcpt(
		SPAN("rfc822;123" HUNDRED HUNDRED HUNDRED HUNDRED NINETY), false));
	CHECK(!dsn_is_orcpt(
		SPAN("rfc822;1234" HUNDRED HUNDRED HUNDRED HUNDRED NINETY), false));
}

/* A network is one source, and a name shows which. */
static void test_a_name_has_the_source(void)
{
	static const struct {
		const char *address, *name, *source;
	} cases[] = {
		{ "192.0.2.17", "1.M2P3Q4.host,N=c00002", "c00002" },
		{ "::ffff:192.0.2.254", "1.M2P3Q4.host,N=c00002", "c00002" },
		{ "2001:db8:17:2::1", "1.M2P3Q4.host,N=20010db80017", "20010db80017" },
		{ "", "1.M2P3Q4.host", "" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char octets[64];
		struct buf b = BUF(octets);
		struct ip ip = { 0 };
		ip_parse(span_of(cases[i].address), &ip);
		buf_put(&b, SPAN("1.M2P3Q4.host"));
		dsn_put_source(&b, &ip);
		CHECK_SPAN(buf_span(&b), cases[i].name);
		CHECK(b.n <= strlen("1.M2P3Q4.host") + DSN_SOURCE_MAX);
		CHECK_SPAN(dsn_source(buf_span(&b)), cases[i].source);
		buf_put(&b, SPAN(",S=17,T=1750000000"));
		CHECK_SPAN(dsn_source(buf_span(&b)), cases[i].source);
	}
	CHECK_SPAN(dsn_source(SPAN("")), "");
	CHECK_SPAN(dsn_source(SPAN(",N=")), "");
	CHECK_SPAN(dsn_source(SPAN(",N=xyz")), "");
	CHECK_SPAN(dsn_source(SPAN(",N=c0\0c0")), "c0");
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_notify),
		TEST(test_ret),
		TEST(test_envid),
		TEST(test_orcpt),
		TEST(test_orcpt_has_a_longest_value),
		TEST(test_a_name_has_the_source),
	};

	return test_main(tests, TEST_COUNT(tests));
}
