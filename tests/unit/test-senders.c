/* SPDX-License-Identifier: ISC */
/* proto/address: the addresses that a user may send from. */
#include "proto/address.h"
#include "unit/test.h"

static void test_lists_have_addresses(void)
{
	static const struct {
		const char *list, *address;
		bool has;
	} cases[] = {
		{ "alice@example.org", "alice@example.org", true },
		{ "alice@example.org", "Alice@EXAMPLE.org", true },
		{ "alice@example.org", "bob@example.org", false },
		{ "alice@example.org", "malice@example.org", false },
		{ "alice@example.org", "alice@example.org.net", false },
		{ "  a@b.example \t alice@example.org ", "alice@example.org", true },
		{ "@example.org", "anybody@example.org", true },
		{ "@example.org", "any.body@Example.ORG", true },
		{ "@example.org", "anybody@sub.example.org", false },
		{ "@example.org", "anybody@notexample.org", false },
		{ "@example.org", "\"x@example.org\"@example.net", false },
		{ "@example.org", "postmaster", false },
		{ "*", "anybody@example.org", true },
		{ "*", "postmaster", true },
		{ "*@example.org", "anybody@example.org", false },
		{ "", "alice@example.org", false },
		{ "   ", "alice@example.org", false },
		/* the address of no user */
		{ "alice@example.org", "", true },
		{ "", "", true },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		if (!CHECK(senders_have(span_of(cases[i].list),
				   span_of(cases[i].address)) == cases[i].has))
			printf("# %s: %s\n", cases[i].list, cases[i].address);
}

static void test_words_that_are_no_patterns(void)
{
	static const struct {
		const char *list, *wrong;
	} cases[] = {
		{ "", "" },
		{ "*", "" },
		{ "alice@example.org  @example.net\t*", "" },
		{ "jos\xc3\xa9@b\xc3\xbc"
		  "cher.example",
			"" },
		{ "\"a@b\"@example.org", "" },
		{ "alice", "alice" },
		/* MAIL has such a name in quotes */
		{ "a@b@example.org", "a@b@example.org" },
		{ "info;a@example.org", "info;a@example.org" },
		{ "alice@example.org, bob@example.org", "alice@example.org," },
		{ "a@b.example *.example.org", "*.example.org" },
		{ "alice@", "alice@" },
		{ "@", "@" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		CHECK_SPAN(senders_wrong(span_of(cases[i].list)), cases[i].wrong);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_lists_have_addresses),
		TEST(test_words_that_are_no_patterns),
	};

	return test_main(tests, TEST_COUNT(tests));
}
