/* SPDX-License-Identifier: ISC */
/* proto/verifier: valid values of the table of users, and the kind that most users have. */
#include "proto/verifier.h"
#include "unit/test.h"

#define KEY "GMqPr2sKZSgZ/W/7w+95tiPHkwokNJGlMaSHoUL39CY="
#define NO_KEY "GMqPr2sKZSgZ/W/7w+95tiPHkwokNJGlMaSHoUL39C{=" /* not base64 */
#define SALT_OF_66                                                                       \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AA"                                                                             \
	"AAAAAAAA"
#define SCRAM(iterations, salt) "{SCRAM-SHA-256}" iterations "," salt "," KEY "," KEY
#define YESCRYPT(cost, salt) "$y$" cost "$" salt "$" DIGITS_43
#define DIGITS_43 "0vAOjNpLw3O.iV2kZfbB0aQ274F3dQfeeUNeiC/37A8"
#define DIGITS_86                                                                        \
	"qvysfEx.x5FVj9NzzEKY..sCe3KWFIm5h4qloQbZb1xEff27Lk8LYiBMPjhXi2BRV4uTE1ElFL99oM" \
	"FK0JYCY/"

static void test_verifiers_are_read(void)
{
	static const struct {
		const char *text;
		enum verifier_kind kind;
		uint32_t iterations;
		size_t n_salt;
		const char *cost;
	} cases[] = {
		{ SCRAM("4096", "abMczsfHWIU++oOO"), VERIFIER_SCRAM, 4096, 12, "" },
		{ SCRAM("65536", "3IihwtyvoakRYuNDdXzSiQ=="), VERIFIER_SCRAM, 65536, 16,
			"" },
		{ SCRAM("10000000", "AAAAAAAAAAA="), VERIFIER_SCRAM, 10000000, 8, "" },
		{ YESCRYPT("j9T", "vJLAYJ65uZ3UG1bjR5Dii/"), VERIFIER_CRYPT, 0, 0,
			"$y$j9T$" },
		{ "$6$salt$" DIGITS_86, VERIFIER_CRYPT, 0, 0, "$6$" },
		{ "$6$rounds=10000$salt$" DIGITS_86, VERIFIER_CRYPT, 0, 0,
			"$6$rounds=10000$" },
		{ "$6$rounds=999999999$1234567890123456$" DIGITS_86, VERIFIER_CRYPT, 0, 0,
			"$6$rounds=999999999$" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct verifier v;
		if (!CHECK(verifier_parse(span_of(cases[i].text), &v) == NULL))
			continue;
		CHECK(v.kind == cases[i].kind);
		CHECK(v.iterations == cases[i].iterations);
		CHECK(v.n_salt == cases[i].n_salt);
		CHECK_SPAN(v.cost, cases[i].cost);
		if (v.kind == VERIFIER_CRYPT)
			CHECK_SPAN(v.hash, cases[i].text);
	}
}

static void test_nothing_else_is(void)
{
	static const struct {
		const char *text, *what;
	} cases[] = {
		{ "secret", "no password may stand here" },
		{ "", "no password may stand here" },
		{ "{PLAIN}secret", "no password may stand here" },
		{ "{SCRAM-SHA-1}4096,abMczsfHWIU++oOO," KEY "," KEY, "is neither" },
		{ "{scram-sha-256}4096,abMczsfHWIU++oOO," KEY "," KEY, "is neither" },
		{ "$1$salt$qjXMvbEw8oaL.CzflDtaK/", "is neither" },
		{ "$2b$05$xp9nGB29HwIgpASbLy6LHeJ6zbA9Mp008DC4NArhPhT8MiFmOIUgK",
			"is neither" },
		/* RFC 7677 4 */
		{ SCRAM("4095", "abMczsfHWIU++oOO"), "less than 4096" },
		{ SCRAM("0", "abMczsfHWIU++oOO"), "less than 4096" },
		{ SCRAM("10000001", "abMczsfHWIU++oOO"), "more than 10000000" },
		{ SCRAM("-4096", "abMczsfHWIU++oOO"), "is not of the form" },
		{ SCRAM("", "abMczsfHWIU++oOO"), "is not of the form" },
		{ SCRAM("18446744073709551616", "abMczsfHWIU++oOO"),
			"is not of the form" },
		{ SCRAM("4096", ""), "needs a salt" },
		{ SCRAM("4096", "abMc"), "needs a salt" },
		{ SCRAM("4096", "abMczsfHWIU++oO"), "needs a salt" },
		{ SCRAM("4096", "abMczsfHWIU++o=O"), "needs a salt" },
		{ SCRAM("4096", "abMczsfHWIU-_oOO"), "needs a salt" },
		{ "{SCRAM-SHA-256}4096,abMczsfHWIU++oOO," KEY, "is not of the form" },
		{ "{SCRAM-SHA-256}4096,abMczsfHWIU++oOO," KEY ",AAAA",
			"is not of the form" },
		{ "{SCRAM-SHA-256}4096,abMczsfHWIU++oOO,AAAA," KEY,
			"is not of the form" },
		{ "{SCRAM-SHA-256}4096,abMczsfHWIU++oOO," NO_KEY "," KEY,
			"is not of the form" },
		{ "{SCRAM-SHA-256}4096,abMczsfHWIU++oOO," KEY "," NO_KEY,
			"is not of the form" },
		{ SCRAM("4096", SALT_OF_66), "needs a salt" },
		{ "{SCRAM-SHA-256}", "is not of the form" },
		/* gsasl --verbose */
		{ SCRAM("4096", "abMczsfHWIU++oOO") ",a1bc11d0", "--verbose" },
		{ "$y$j9T$vJLAYJ65uZ3UG1bjR5Dii/", "is not a whole hash" },
		{ "$y$j9T$vJLAYJ65uZ3UG1bjR5Dii/$abc", "is not a whole hash" },
		{ "$y$j9T$$" DIGITS_43, "is not a whole hash" },
		{ "$y$j9T$a:b$" DIGITS_43, "is not a whole hash" },
		{ "$y$j9T$a+b$" DIGITS_43, "is not a whole hash" },
		{ "$y$j9T$a{b$" DIGITS_43, "is not a whole hash" },
		{ "$6$salt$" DIGITS_43, "is not a whole hash" },
		{ "$6$salt$" DIGITS_86 " ", "is not a whole hash" },
		{ "$6$", "is not a whole hash" },
		{ "$6$rounds=999$salt$" DIGITS_86, "needs rounds" },
		{ "$6$rounds=1000000000$salt$" DIGITS_86, "needs rounds" },
		{ "$6$rounds=abc$salt$" DIGITS_86, "needs rounds" },
		{ "$6$rounds=$salt$" DIGITS_86, "needs rounds" },
		{ "$6$12345678901234567$" DIGITS_86, "more than 16 characters" },
	};
	char large[VERIFIER_MAX + 2] = "{SCRAM-SHA-256}";
	struct verifier v;

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const char *what = verifier_parse(span_of(cases[i].text), &v);
		if (!CHECK(what && strstr(what, cases[i].what)))
			printf("# %s: %s\n", cases[i].text, what ? what : "taken");
	}
	memset(large + strlen(large), '1', sizeof(large) - strlen(large) - 1);
	CHECK(verifier_parse(span_of(large), &v) != NULL);
}

/* No part of a value gets into a record. */
static void test_faults_do_not_show_the_value(void)
{
	static const char *const texts[] = { "hunter2", "{PLAIN}hunter2",
		"{SCRAM-SHA-256}hunter2", "$y$hunter2", "$6$hunter2",
		"{SCRAM-SHA-256}4096,hunter2,a,b,c" };

	for (size_t i = 0; i < TEST_COUNT(texts); i++) {
		struct verifier v;
		const char *what = verifier_parse(span_of(texts[i]), &v);
		CHECK(what && !strstr(what, "hunter2"));
	}
}

static void test_the_most_frequent_kind_is_the_decoy(void)
{
	static const char *const values[] = {
		YESCRYPT("j9T", "aaaa"),
		SCRAM("4096", "abMczsfHWIU++oOO"),
		YESCRYPT("j9T", "bbbb"),
		SCRAM("65536", "abMczsfHWIU++oOO"),
		SCRAM("65536", "3IihwtyvoakRYuNDdXzSiQ=="),
		SCRAM("65536", "n2repK9Sbdhw4vVhCnEYRQ=="),
		YESCRYPT("j9T", "cccc"),
		YESCRYPT("jAT", "cccc"),
		"secret",
		"secret",
		"secret",
		"secret",
	};
	struct decoys d = { 0 };

	CHECK(!decoys_any(&d) && !decoys_scram(&d));
	for (size_t i = 0; i < TEST_COUNT(values); i++)
		decoys_count(&d, span_of(values[i]));
	REQUIRE(decoys_any(&d) && decoys_scram(&d));
	CHECK(decoys_any(&d)->n == 3);
	CHECK_SPAN(decoys_any(&d)->verifier.cost, "$y$j9T$");
	CHECK(decoys_scram(&d)->n == 2);
	CHECK(decoys_scram(&d)->verifier.iterations == 65536);
	CHECK(decoys_scram(&d)->verifier.n_salt == 16);
}

/* If all kinds differ, only some of them are counted, and the first one is taken. */
static void test_many_kinds_are_no_harm(void)
{
	struct decoys d = { 0 };

	for (int i = 0; i < 100; i++) {
		char text[VERIFIER_MAX];
		snprintf(text, sizeof(text), SCRAM("%d", "abMczsfHWIU++oOO"), 5000 + i);
		decoys_count(&d, span_of(text));
	}
	CHECK(d.n == DECOY_KINDS_MAX);
	CHECK(decoys_any(&d)->verifier.iterations == 5000);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_verifiers_are_read),
		TEST(test_nothing_else_is),
		TEST(test_faults_do_not_show_the_value),
		TEST(test_the_most_frequent_kind_is_the_decoy),
		TEST(test_many_kinds_are_no_harm),
	};

	return test_main(tests, TEST_COUNT(tests));
}
