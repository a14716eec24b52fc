/* SPDX-License-Identifier: ISC */
/* edge/sandbox: the ids of a user by passwd(5). */
#include <pwd.h>
#include <errno.h>
#include <unistd.h>
#include "edge/sandbox/sandbox.h"
#include "unit/test.h"

static void test_the_first_line_of_the_name_counts(void)
{
	static const struct {
		const char *text, *name;
		struct account account;
	} cases[] = {
		{ "mail:x:8:12:mail:/var/mail:/bin/false\n", "mail", { 8, 12 } },
		{ "root:x:0:0::/:/bin/sh\nmail:x:8:12::/:\n", "mail", { 8, 12 } },
		{ "mailman:x:7:7::/:\nmail:x:8:12::/:\n", "mail", { 8, 12 } },
		{ "mail:x:8:12::/:\nmail:x:0:0::/:\n", "mail", { 8, 12 } },
		{ "\n:\n# mail:x:0:0::/:\nmail::8:12", "mail", { 8, 12 } },
		{ "x:mail:1:1::/:\nmail:x:4294967294:0::/:\n", "mail",
			{ 4294967294, 0 } },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct account a;

		if (!CHECK(account_parse(
				   span_of(cases[i].text), span_of(cases[i].name), &a) &&
			    a.uid == cases[i].account.uid &&
			    a.gid == cases[i].account.gid))
			fprintf(stderr, "\tcase %zu\n", i);
	}
}

static void test_a_line_without_two_ids_is_nobody(void)
{
	static const char *const texts[] = {
		"",
		"\n",
		"mail",
		"mail\n",
		"mail:x:8\n",
		"mail:x:8:\n",
		"mail:x::12::/:\n",
		"mail:x:-1:12::/:\n",
		"mail:x:+8:12::/:\n",
		"mail:x:8 :12::/:\n",
		"mail:x:0x8:12::/:\n",
		"mail:x:8:4294967295::/:\n", /* -1 leaves the ids as they are */
		"mail:x:4294967295:12::/:\n",
		"mail:x:4294967304:12::/:\n",
		"mail:x:bad:12::/:\nmail:x:8:12::/:\n",
		"MAIL:x:8:12::/:\n",
		" mail:x:8:12::/:\n",
		"+mail:x:8:12::/:\n",
		"mai:x:8:12::/:\n",
	};

	for (size_t i = 0; i < TEST_COUNT(texts); i++) {
		struct account a = { 1, 2 };

		if (!CHECK(!account_parse(span_of(texts[i]), SPAN("mail"), &a) &&
			    a.uid == 1 && a.gid == 2))
			fprintf(stderr, "\tcase %zu\n", i);
	}
}

static void test_users_of_the_system_are_found(void)
{
	const struct passwd *pw = getpwuid(getuid());
	struct account a;

	CHECK(account_find("no-such-user", &a) == -ENOENT);
	CHECK(account_find("", &a) == -ENOENT);
	if (pw)
		CHECK(account_find(pw->pw_name, &a) == 0 && a.uid == pw->pw_uid &&
			a.gid == pw->pw_gid);
}

static const struct test tests[] = {
	TEST(test_the_first_line_of_the_name_counts),
	TEST(test_a_line_without_two_ids_is_nobody),
	TEST(test_users_of_the_system_are_found),
};

int main(void)
{
	return test_main(tests, TEST_COUNT(tests));
}
