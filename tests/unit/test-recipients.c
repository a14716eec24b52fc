/* Addresses as paths: none leads out, none is a surprise. */
#include "edge/maildir.h"
#include "edge/recipients.h"
#include "unit/test.h"

static void test_an_address_becomes_a_path_or_none(void)
{
	static const struct {
		const char *template, *local, *domain;
		const char *want; /* NULL: cannot name a mailbox */
	} cases[] = {
		{ ".", "joe", "example.org", "." },
		{ "%u", "joe", "example.org", "joe" },
		{ "%u", "Joe.Bloggs", "example.org", "joe.bloggs" },
		{ "%d/%u", "joe", "Example.ORG", "example.org/joe" },
		{ "a%%b/%u", "joe", "example.org", "a%b/joe" },
		{ "%d/%u", "postmaster", "", "mail.example.org/postmaster" },
		{ "%u", "\"joe\"", "example.org", "joe" },
		{ "%u", "\"a b\"", "example.org", "a b" },
		{ "%u", "\"a\\b\"", "example.org", "ab" },
		{ "%u", "-rf", "example.org", "-rf" },
		{ "%u", "$HOME", "example.org", "$home" },
		{ "%d", "x", "[192.0.2.1]", "[192.0.2.1]" },
		{ "%u", "josé", "example.org", "josé" },
		{ "%u", "\"José Pérez\"", "example.org", "josé pérez" },
		{ "%d/%u", "用户", "xn--bcher-kva.example",
			"xn--bcher-kva.example/用户" },
		{ "%u", "\xf0\x9f\x93\xac", "example.org", "\xf0\x9f\x93\xac" },
		{ "%u", "jos\xe9", "example.org", NULL },
		{ "%u", "\xc0\xaf", "example.org", NULL },
		{ "%u", "\xc0\xae\xc0\xae", "example.org", NULL },
		{ "%u", "\xed\xa0\x80", "example.org", NULL },
		{ "%u", "a\xc2\x80", "example.org", NULL },
		{ "%u", "a\xc2\x85", "example.org", NULL },
		{ "%u", "a\xc2\x9f", "example.org", NULL },
		{ "%u", "a\x7f", "example.org", NULL },
		{ "%u", "é/é", "example.org", NULL },
		{ "%u", ".é", "example.org", NULL },
		{ "%d", "a", "\xff.example", NULL },
		{ "%u", "\"\"", "example.org", NULL },
		{ "%u", "\"..\"", "example.org", NULL },
		{ "%u", "\".\"", "example.org", NULL },
		{ "%u", "\".hidden\"", "example.org", NULL },
		{ "%u", "\"../etc\"", "example.org", NULL },
		{ "%u", "a/b", "example.org", NULL },
		{ "%u", "\"a\\/b\"", "example.org", NULL },
		{ "%d/%u", "/", "example.org", NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const struct recipients rs = { cases[i].template, "mail.example.org" };
		const struct recipient r = {
			.local = span_of(cases[i].local),
			.domain = span_of(cases[i].domain),
		};
		char path[MAILBOX_PATH_MAX];
		struct buf b = BUF(path);
		enum recipients_result result = recipients_path(&rs, &r, &b);
		CHECK(result == (cases[i].want ? RECIPIENTS_FOUND : RECIPIENTS_NAME));
		if (cases[i].want && result == RECIPIENTS_FOUND)
			CHECK_SPAN(span_of(path), cases[i].want);
	}
}

static void test_a_path_that_does_not_fit_names_no_mailbox(void)
{
	char template[MAILBOX_PATH_MAX + 1];
	const struct recipients rs = { template, "mail.example.org" };
	const struct recipient r = { .local = SPAN("joe"),
		.domain = SPAN("example.org") };
	char path[MAILBOX_PATH_MAX];
	struct buf b = BUF(path);

	memset(template, 'x', MAILBOX_PATH_MAX);
	template[MAILBOX_PATH_MAX] = '\0';
	CHECK(recipients_path(&rs, &r, &b) == RECIPIENTS_NAME);
}

/* NAME_MAX counts octets: 127 letters of two and one more octet just fit. */
static void test_a_name_is_as_long_as_its_octets(void)
{
	const struct recipients rs = { "%u", "mail.example.org" };
	char local[300];

	for (size_t n = 254; n <= 256; n++) {
		const struct recipient r = { .local = { local, n } };
		char path[MAILBOX_PATH_MAX];
		struct buf b = BUF(path);
		for (size_t i = 0; i + 1 < n; i += 2)
			memcpy(local + i, "é", 2);
		local[n - 1] = n % 2 ? 'a' : local[n - 1];
		CHECK(recipients_path(&rs, &r, &b) ==
			(n <= 255 ? RECIPIENTS_FOUND : RECIPIENTS_NAME));
	}
}

static void test_a_host_in_a_file_name_has_no_separator(void)
{
	char host[64];
	struct buf b = BUF(host);

	maildir_host(&b, SPAN("[IPv6:2001:db8::1]/x\n"));
	CHECK_SPAN(span_of(host), "[IPv6\\0722001\\072db8\\072\\0721]\\057x");
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_an_address_becomes_a_path_or_none),
		TEST(test_a_path_that_does_not_fit_names_no_mailbox),
		TEST(test_a_name_is_as_long_as_its_octets),
		TEST(test_a_host_in_a_file_name_has_no_separator),
	};

	return test_main(tests, TEST_COUNT(tests));
}
