/* SPDX-License-Identifier: ISC */
/* proto/tls-names and tls-hello: codes have one name each, and lists stay in bounds. */
#include "proto/tls-names.h"
#include "proto/tls-hello.h"
#include "unit/test.h"

static void put_alert(struct buf *to, uint16_t code)
{
	tls_put_alert(to, (uint8_t)code);
}

static void check_name(
	void (*put)(struct buf *to, uint16_t code), uint16_t code, const char *want)
{
	char text[64];
	struct buf b = BUF(text);

	put(&b, code);
	CHECK_SPAN(buf_span(&b), want);
}

static void test_the_name_of_a_suite_says_how_many_bits_its_key_has(void)
{
	static const struct {
		const char *name;
		unsigned bits;
	} cases[] = {
		{ "TLS_AES_256_GCM_SHA384", 256 },
		{ "TLS_AES_128_GCM_SHA256", 128 },
		{ "TLS_CHACHA20_POLY1305_SHA256", 256 },
		{ "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", 256 },
		{ "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 128 },
		{ "TLS_RSA_WITH_3DES_EDE_CBC_SHA", 168 },
		{ "0x1306", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		CHECK(tls_suite_bits(span_of(cases[i].name)) == cases[i].bits);
}

static void test_names_are_those_of_the_registry(void)
{
	static const struct {
		void (*put)(struct buf *to, uint16_t code);
		uint16_t code;
		const char *name;
	} cases[] = {
		{ tls_put_version, 0x0002, "SSL2.0" },
		{ tls_put_version, 0x0300, "SSL3.0" },
		{ tls_put_version, 0x0301, "TLS1.0" },
		{ tls_put_version, 0x0304, "TLS1.3" },
		{ tls_put_version, 0x0305, "0x0305" },
		{ tls_put_version, 0x0000, "0x0000" },
		{ tls_put_version_text, 0x0002, "SSL 2.0" },
		{ tls_put_version_text, 0x0300, "SSL 3.0" },
		{ tls_put_version_text, 0x0303, "TLS 1.2" },
		{ tls_put_version_text, 0x7f1c, "0x7f1c" },
		{ tls_put_suite, 0x1301, "TLS_AES_128_GCM_SHA256" },
		{ tls_put_suite, 0x0005, "TLS_RSA_WITH_RC4_128_SHA" },
		{ tls_put_suite, 0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5" },
		{ tls_put_suite, 0x0014, "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA" },
		{ tls_put_suite, 0x0032, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA" },
		{ tls_put_suite, 0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384" },
		{ tls_put_suite, 0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
		{ tls_put_suite, 0xcca9,
			"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" },
		{ tls_put_suite, 0xfeff, "0xfeff" },
		{ tls_put_group, 0x0017, "secp256r1" },
		{ tls_put_group, 0x001d, "x25519" },
		{ tls_put_group, 0x0104, "ffdhe8192" },
		{ tls_put_group, 0x001f, "brainpoolP256r1tls13" },
		{ tls_put_group, 0x6399, "X25519Kyber768Draft00" },
		{ tls_put_group, 0x0001, "0x0001" },
		{ tls_put_signature, 0x0403, "ecdsa_secp256r1_sha256" },
		{ tls_put_signature, 0x080b, "rsa_pss_pss_sha512" },
		{ tls_put_signature, 0x0101, "0x0101" },
		{ put_alert, 0, "close_notify" },
		{ put_alert, 48, "unknown_ca" },
		{ put_alert, 120, "no_application_protocol" },
		{ put_alert, 200, "alert 200" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		check_name(cases[i].put, cases[i].code, cases[i].name);
}

/* No row shadows another, and each is whole. */
static void test_no_name_stands_for_two_codes(void)
{
	static void (*const puts[])(struct buf *, uint16_t) = { tls_put_suite,
		tls_put_group, tls_put_signature };

	for (size_t i = 0; i < TEST_COUNT(puts); i++) {
		char *seen = calloc(0x10000, 64);
		size_t n = 0;

		REQUIRE(seen);
		for (uint32_t code = 0; code <= 0xffff; code++) {
			struct buf b = { .p = seen + 64 * n, .cap = 64 };

			puts[i](&b, (uint16_t)code);
			REQUIRE(buf_terminate(&b));
			if (b.p[0] == '0')
				continue;
			CHECK(strchr(b.p, '_') || puts[i] != tls_put_suite);
			for (size_t j = 0; j < n; j++)
				CHECK(strcmp(seen + 64 * j, b.p) != 0);
			n++;
		}
		CHECK(n > 10);
		free(seen);
	}
}

static void test_suites_and_signatures_know_their_keys(void)
{
	CHECK(tls_suite_keys(0x1301) == TLS_KEY_ANY);
	CHECK(tls_suite_keys(0x002f) == TLS_KEY_RSA);
	CHECK(tls_suite_keys(0xc02f) == (TLS_KEY_RSA | TLS_KEY_RSA_PSS));
	CHECK(tls_suite_keys(0xc02b) == (TLS_KEY_ECDSA | TLS_KEY_EDDSA));
	CHECK(tls_suite_keys(0x0032) == 0); /* DSS */
	CHECK(tls_suite_keys(0x008c) == 0); /* PSK */
	CHECK(tls_suite_exchange(0x1301) == TLS_EXCHANGE_1_3);
	CHECK(tls_suite_exchange(0x002f) == TLS_EXCHANGE_RSA);
	CHECK(tls_suite_exchange(0x009e) == TLS_EXCHANGE_FINITE);
	CHECK(tls_suite_exchange(0xc02b) == TLS_EXCHANGE_CURVE);
	CHECK(tls_suite_exchange(0x008c) == TLS_EXCHANGE_UNKNOWN);
	CHECK(tls_suite_is_of(0x1301, TLS_VERSION_1_3));
	CHECK(!tls_suite_is_of(0x1301, TLS_VERSION_1_2));
	CHECK(!tls_suite_is_of(0xc02f, TLS_VERSION_1_3));
	CHECK(tls_suite_is_of(0xc02f, TLS_VERSION_1_2));
	CHECK(!tls_suite_is_of(0xc02f, TLS_VERSION_1_1)); /* GCM: RFC 5288 4 */
	CHECK(tls_suite_is_of(0x002f, TLS_VERSION_1_0));
	CHECK(tls_suite_is_of(0xfeff, TLS_VERSION_1_0));
	CHECK(tls_signature_keys(0x0804, TLS_VERSION_1_3) == TLS_KEY_RSA);
	CHECK(tls_signature_keys(0x0401, TLS_VERSION_1_3) == 0);
	CHECK(tls_signature_keys(0x0401, TLS_VERSION_1_2) == TLS_KEY_RSA);
	CHECK(tls_signature_keys(0x0809, TLS_VERSION_1_2) == TLS_KEY_RSA_PSS);
	CHECK(tls_signature_keys(0x0403, TLS_VERSION_1_2) == TLS_KEY_ECDSA);
	CHECK(tls_signature_keys(0x0403, TLS_VERSION_1_3) == TLS_KEY_P256);
	CHECK(tls_signature_keys(0x0603, TLS_VERSION_1_3) == TLS_KEY_P521);
	CHECK(tls_signature_keys(0x0807, TLS_VERSION_1_2) == TLS_KEY_ED25519);
	CHECK(tls_signature_keys(0x0202, TLS_VERSION_1_2) == 0);
	CHECK(tls_key_group(TLS_KEY_P521) == 0x0019);
	CHECK(tls_key_group(TLS_KEY_P384) == 0x0018 && tls_key_group(TLS_KEY_RSA) == 0);
	/* RFC 7919 9 */
	CHECK(tls_group_is_finite(0x0100) && tls_group_is_finite(0x0104));
	CHECK(!tls_group_is_finite(0x001d) && !tls_group_is_finite(0x11ec));
}

static void test_groups_are_found_by_name(void)
{
	CHECK(tls_group_named(SPAN("SECP256R1")) == 0x0017);
	CHECK(tls_group_named(SPAN("X25519")) == 0x001d);
	CHECK(tls_group_named(SPAN("FFDHE2048")) == 0x0100);
	CHECK(tls_group_named(SPAN("GC256B")) == 0);
	CHECK(tls_group_named(SPAN("")) == 0);
}

static void test_lists_stay_in_bounds(void)
{
	struct tls_list list = { 0 }, other = { 0 };

	CHECK(tls_list_least(&list) == 0 && tls_list_greatest(&list) == 0);
	for (uint16_t i = 0; i < TLS_LIST_MAX; i++)
		tls_list_add(&list, (uint16_t)(100 + i));
	tls_list_add(&list, 100);
	CHECK(list.n == TLS_LIST_MAX && !list.cut);
	tls_list_add(&list, 99);
	CHECK(list.n == TLS_LIST_MAX && list.cut);
	CHECK(tls_list_least(&list) == 100);
	CHECK(tls_list_greatest(&list) == 100 + TLS_LIST_MAX - 1);
	CHECK(tls_list_has(&list, 100) && !tls_list_has(&list, 99));
	CHECK(!tls_list_meet(&list, &other));
	tls_list_add(&other, 1);
	CHECK(!tls_list_meet(&list, &other) && !tls_list_meet(&other, &list));
	tls_list_add(&other, 101);
	CHECK(tls_list_meet(&list, &other) && tls_list_meet(&other, &list));
}

static const struct tls_terms some = {
	.versions = { .codes = { 0x0303 }, .n = 1 },
	.suites = { .codes = { 0x1301, 0xc02b, 0xc02f, 0x008c }, .n = 4 },
	.signatures = { .codes = { 0x0403, 0x0807, 0x0804, 0x0101 }, .n = 4 },
	.alpn = "smtp",
};

static void check_terms(const struct tls_terms *terms, const char *want)
{
	char text[256];
	struct buf b = BUF(text);

	tls_terms_put(&b, terms);
	CHECK_SPAN(buf_span(&b), want);
}

static void test_terms_are_told_part_by_part(void)
{
	static const struct tls_terms none, groups = { .groups = { { 29 }, 1, false } };

	check_terms(&none, "");
	check_terms(&groups, "groups x25519");
	check_terms(&some,
		"versions TLS1.2; suites TLS_AES_128_GCM_SHA256 "
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 "
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 0x008c; signatures "
		"ecdsa_secp256r1_sha256 ed25519 rsa_pss_rsae_sha256 0x0101; alpn smtp");
}

static void test_what_no_key_can_serve_is_left_out(void)
{
	static const struct {
		unsigned keys;
		const char *text;
	} cases[] = {
		{ TLS_KEY_RSA, "versions TLS1.2; suites TLS_AES_128_GCM_SHA256 "
			       "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; "
			       "signatures rsa_pss_rsae_sha256; alpn smtp" },
		{ TLS_KEY_ECDSA, "versions TLS1.2; suites TLS_AES_128_GCM_SHA256 "
				 "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; "
				 "signatures ecdsa_secp256r1_sha256; alpn smtp" },
		{ 0, "versions TLS1.2; alpn smtp" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct tls_terms kept = some;

		tls_terms_keep(&kept, cases[i].keys, TLS_VERSION_1_2);
		check_terms(&kept, cases[i].text);
	}
}

static void test_of_a_long_list_the_rest_is_counted(void)
{
	static const struct tls_list three = { { 1, 2, 3 }, 3, false };
	static const struct {
		size_t max;
		const char *text;
	} cases[] = {
		{ 4, "0x0001, 0x0002, 0x0003" },
		{ 3, "0x0001, 0x0002, 0x0003" },
		{ 2, "0x0001, 0x0002 and 1 more" },
		{ 1, "0x0001 and 2 more" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char text[64];
		struct buf b = BUF(text);

		tls_list_put(&b, &three, cases[i].max, ", ", tls_put_code);
		CHECK_SPAN(buf_span(&b), cases[i].text);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_the_name_of_a_suite_says_how_many_bits_its_key_has),
		TEST(test_names_are_those_of_the_registry),
		TEST(test_no_name_stands_for_two_codes),
		TEST(test_suites_and_signatures_know_their_keys),
		TEST(test_groups_are_found_by_name),
		TEST(test_lists_stay_in_bounds),
		TEST(test_terms_are_told_part_by_part),
		TEST(test_what_no_key_can_serve_is_left_out),
		TEST(test_of_a_long_list_the_rest_is_counted),
	};

	return test_main(tests, TEST_COUNT(tests));
}
