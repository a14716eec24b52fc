/* SPDX-License-Identifier: ISC */
/* Lines of the table of recipients: valid ones and their values, and faults. */
#include <stdio.h>
#include "base/buf.h"
#include "proto/destination.h"
#include "unit/test.h"

static void test_a_value_is_a_path_and_flags(void)
{
	static const struct {
		const char *value, *path;
		bool auth, deny, unfiltered;
	} cases[] = {
		{ "milters=off", "", .unfiltered = true },
		{ "info milters=off", "info", .unfiltered = true },
		{ "info auth milters=off", "info", .auth = true, .unfiltered = true },
		{ "./milters=off", "./milters=off", false, false, false },
		{ "", "", false, false, false },
		{ "info", "info", false, false, false },
		{ "scans/%u auth", "scans/%u", true, false, false },
		{ "scans/%u \t auth", "scans/%u", true, false, false },
		{ "auth", "", true, false, false },
		{ "deny", "", false, true, false },
		{ "./auth", "./auth", false, false, false },
		{ "./auth auth", "./auth", true, false, false },
		{ "%d/%u%%", "%d/%u%%", false, false, false },
		{ ".", ".", false, false, false },
		{ "a..b/..c", "a..b/..c", false, false, false },
		{ "josé", "josé", false, false, false },
		{ "info,archive", "info,archive", false, false, false },
		{ "%d/%u,all/%d auth", "%d/%u,all/%d", true, false, false },
		{ "./a,b", "./a,b", false, false, false },
		{ "a,./auth", "a,./auth", false, false, false },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct destination d;
		struct destination_fault fault = { .what = NULL };
		if (!CHECK(destination_parse(span_of(cases[i].value), &d, &fault))) {
			fprintf(stderr, "\t%s: %s\n", cases[i].value, fault.what);
			continue;
		}
		CHECK_SPAN(d.paths, cases[i].path);
		CHECK(d.auth == cases[i].auth);
		CHECK(d.deny == cases[i].deny);
		CHECK(d.unfiltered == cases[i].unfiltered);
	}
}

#define NO_NAME                                                                          \
	"has a comma beside no name: write names with one comma between them and no "    \
	"blank"

static void test_any_other_value_is_refused_by_its_word(void)
{
	static const struct {
		const char *value, *word, *what;
	} cases[] = {
		{ "info Auth", "Auth", "is not auth, deny or milters=off" },
		{ "info sales", "sales", "is not auth, deny or milters=off" },
		{ "auth info", "info", "is not auth, deny or milters=off" },
		{ "info # for all", "#", "is not auth, deny or milters=off" },
		{ "info milters=on", "milters=on", "is not auth, deny or milters=off" },
		{ "milters=on", "milters=on",
			"must be milters=off; ./ in front makes it a mailbox" },
		{ "milters=off milters=off", "milters=off", "is given twice" },
		{ "milters=off deny", "deny", "cannot be combined with other words" },
		{ "deny milters=off", "milters=off",
			"cannot be combined with other words" },
		{ "info,milters=off", "milters=off",
			"is no mailbox: write it behind a blank; ./ in front makes it "
			"one" },
		{ "auth auth", "auth", "is given twice" },
		{ "deny deny", "deny", "is given twice" },
		{ "info deny", "deny", "cannot be combined with other words" },
		{ "deny auth", "auth", "cannot be combined with other words" },
		{ "auth deny", "deny", "cannot be combined with other words" },
		{ "|/usr/bin/vacation", "|/usr/bin/vacation",
			"is no program and no list, as in aliases(5): name a path below "
			"mail-root; ./ in front makes it one" },
		{ ":include:/etc/list", ":include:/etc/list",
			"is no program and no list, as in aliases(5): name a path below "
			"mail-root; ./ in front makes it one" },
		{ "/srv/mail", "/srv/mail",
			"must be a path that begins at mail-root, without / in front" },
		{ "joe@example.net", "joe@example.net",
			"is an address, and mail is not forwarded: name a path below "
			"mail-root; ./ in front makes it one" },
		{ "~/mail", "~/mail",
			"has ~, which no shell expands here: name a path below "
			"mail-root" },
		{ "info,", "info,", NO_NAME },
		{ ",info", ",info", NO_NAME },
		{ "a,,b auth", "a,,b", NO_NAME },
		{ ",", ",", NO_NAME },
		{ "info, sales", "info,", NO_NAME },
		{ "info,auth", "auth",
			"is no mailbox: write it behind a blank; ./ in front makes it "
			"one" },
		{ "deny,info", "deny",
			"is no mailbox: write it behind a blank; ./ in front makes it "
			"one" },
		{ "a,b,a", "a", "is named twice" },
		{ "a,joe@example.net", "joe@example.net",
			"is an address, and mail is not forwarded: name a path below "
			"mail-root; ./ in front makes it one" },
		{ "a,b deny", "deny", "cannot be combined with other words" },
		{ "a,/b", "/b",
			"must be a path that begins at mail-root, without / in front" },
		{ "a,../b,c", "../b", "must not have .. in it" },
		{ "..", "..", "must not have .. in it" },
		{ "../etc auth", "../etc", "must not have .. in it" },
		{ "a/..", "a/..", "must not have .. in it" },
		{ "a/%h", "a/%h", "may have %u, %d and %% in it, and no other %" },
		{ "%", "%", "may have %u, %d and %% in it, and no other %" },
		{ "%/u", "%/u", "may have %u, %d and %% in it, and no other %" },
		{ "a\x01", "a\x01", "must be printable, in ASCII or UTF-8" },
		{ "jos\xe9", "jos\xe9", "must be printable, in ASCII or UTF-8" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct destination d;
		struct destination_fault fault;
		if (!CHECK(!destination_parse(span_of(cases[i].value), &d, &fault))) {
			fprintf(stderr, "\t%s\n", cases[i].value);
			continue;
		}
		CHECK_SPAN(fault.word, cases[i].word);
		CHECK_SPAN(span_of(fault.what), cases[i].what);
	}
}

static void test_a_path_has_its_limit(void)
{
	char path[DESTINATION_PATH_MAX + 1];
	struct destination d;
	struct destination_fault fault;

	memset(path, 'x', sizeof(path));
	CHECK(destination_parse((struct span){ path, sizeof(path) - 1 }, &d, &fault));
	CHECK(!destination_parse((struct span){ path, sizeof(path) }, &d, &fault));
	CHECK_SPAN(span_of(fault.what), "has more than 512 octets");
}

static void check_list(const char *written, const char *const *want)
{
	struct span list = span_of(written);

	for (; *want; want++)
		if (CHECK(list.n))
			CHECK_SPAN(destination_take_path(&list), *want);
	CHECK(list.n == 0);
}

/* After "./", which ends the list, a directory may have a comma in its name. */
static void test_a_list_is_cut_at_its_commas(void)
{
	check_list("a", (const char *const[]){ "a", NULL });
	check_list("a,b/%u,c", (const char *const[]){ "a", "b/%u", "c", NULL });
	check_list("./a,b", (const char *const[]){ "./a,b", NULL });
	check_list("a,./b,a", (const char *const[]){ "a", "./b,a", NULL });
	check_list(".,a", (const char *const[]){ ".", "a", NULL });
}

static void test_a_list_has_its_limit(void)
{
	char list[8 * (DESTINATION_PATHS_MAX + 1)];
	struct buf b = BUF(list);
	struct destination d;
	struct destination_fault fault = { .what = "" };

	for (size_t i = 0; i < DESTINATION_PATHS_MAX; i++) {
		buf_put_char(&b, 'a');
		buf_put_num(&b, i);
		buf_put_char(&b, ',');
	}
	b.n--;
	CHECK(destination_parse(buf_span(&b), &d, &fault));
	buf_put_str(&b, ",last");
	CHECK(!destination_parse(buf_span(&b), &d, &fault));
	CHECK_SPAN(fault.word, "last");
	CHECK_SPAN(span_of(fault.what), "is one mailbox too many: a line has 16 at most");
}

static void test_a_key_is_a_name_as_it_is_looked_up(void)
{
	static const struct {
		const char *key, *fault; /* NULL: none */
	} cases[] = {
		{ "info@example.org", NULL },
		{ "info+list@example.org", NULL },
		{ "info", NULL },
		{ "@example.org", NULL },
		{ "@[192.0.2.1]", NULL },
		{ "info@[ipv6:2001:db8::1]", NULL },
		{ "josé@xn--bcher-kva.example", NULL },
		{ "a@b@example.org", NULL },
		{ "a/b@example.org", NULL },
		{ "", "is no address" },
		{ "@", "is no address: its domain cannot be one" },
		{ "info@", "is no address: its domain cannot be one" },
		{ "info@example.org:", "is no address: its domain cannot be one" },
		{ "info@a..b", "is no address: its domain cannot be one" },
		{ "info@[IPv6:2001:db8::1]", "must be in lower case" },
		{ "Info", "must be in lower case" },
		{ "Info@example.org", "must be in lower case" },
		{ "info@Example.org", "must be in lower case" },
		{ "info@bücher.example", "must have its domain as A-labels (xn--...)" },
		{ "\"john", "must be without quotes" },
		{ "\"john\"@example.org", "must be without quotes" },
		{ "*@example.org",
			"is no name: for all others of a domain write @domain" },
		{ "info,", "is no address: a line is a name, a blank and a path, without "
			   "commas and colons" },
		{ "info:", "is no address: a line is a name, a blank and a path, without "
			   "commas and colons" },
		{ "*", "is no name: for all others of a domain write @domain" },
		{ "a\x01@example.org", "must be printable, in ASCII or UTF-8" },
		{ "jos\xe9@example.org", "must be printable, in ASCII or UTF-8" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const char *fault = destination_key_fault(span_of(cases[i].key));
		if (!CHECK_SPAN(span_of(fault), cases[i].fault ? cases[i].fault : ""))
			fprintf(stderr, "\t%s\n", cases[i].key);
	}
}

/* RFC 5321 4.5.3.1.3: 256 octets with the brackets */
static void test_a_key_is_no_longer_than_an_address(void)
{
	static const char domain[] = "@example.org";
	char key[300];

	memset(key, 'x', sizeof(key));
	memcpy(key + 254 - 12, domain, 12);
	CHECK(!destination_key_fault((struct span){ key, 254 }));
	memset(key, 'x', sizeof(key));
	memcpy(key + 255 - 12, domain, 12);
	CHECK_SPAN(span_of(destination_key_fault((struct span){ key, 255 })),
		"is longer than any address may be (254 octets)");
	/* with U-labels it may be shorter */
	memcpy(key + 255 - 12, "@xn--example", 12);
	CHECK(!destination_key_fault((struct span){ key, 255 }));
	memset(key, 'x', sizeof(key));
	CHECK(!destination_key_fault((struct span){ key, 252 }));
	CHECK(destination_key_fault((struct span){ key, 253 }));
}

static void test_a_key_is_cut_at_its_last_sign(void)
{
	struct span local, domain;

	destination_key_cut(SPAN("a@b@c"), &local, &domain);
	CHECK_SPAN(local, "a@b");
	CHECK_SPAN(domain, "c");
	destination_key_cut(SPAN("abc"), &local, &domain);
	CHECK_SPAN(local, "abc");
	CHECK_SPAN(domain, "");
	destination_key_cut(SPAN("@c"), &local, &domain);
	CHECK_SPAN(local, "");
	CHECK_SPAN(domain, "c");
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_value_is_a_path_and_flags),
		TEST(test_any_other_value_is_refused_by_its_word),
		TEST(test_a_path_has_its_limit),
		TEST(test_a_list_is_cut_at_its_commas),
		TEST(test_a_list_has_its_limit),
		TEST(test_a_key_is_a_name_as_it_is_looked_up),
		TEST(test_a_key_is_no_longer_than_an_address),
		TEST(test_a_key_is_cut_at_its_last_sign),
	};

	return test_main(tests, TEST_COUNT(tests));
}
