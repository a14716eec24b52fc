/* SPDX-License-Identifier: ISC */
/* edge/store/recipients: the paths of addresses are always below mail-root. */
#include <stdio.h>
#include <unistd.h>
#include "edge/store/store.h"
#include "edge/table/table.h"
#include "unit/test.h"

/* The first place, without a table. */
static enum recipients_result find_first(const char *template, struct span local,
	struct span domain, struct recipients_place *ret)
{
	const struct recipients rs = {
		.template = template,
		.hostname = "mail.example.org",
	};
	const struct recipient r = { .local = local, .domain = domain };
	struct recipients_search search;

	recipients_begin(&search, &rs, &r, false);
	return recipients_next(&search, ret);
}

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
		struct recipients_place place;
		enum recipients_result result = find_first(cases[i].template,
			span_of(cases[i].local), span_of(cases[i].domain), &place);
		CHECK(result == (cases[i].want ? RECIPIENTS_FOUND : RECIPIENTS_NAME));
		if (cases[i].want && result == RECIPIENTS_FOUND)
			CHECK_SPAN(span_of(place.path), cases[i].want);
	}
}

/* A fault of the settings, and not of the address. */
static void test_a_path_that_does_not_fit_is_no_fault_of_the_name(void)
{
	char template[MAILBOX_PATH_MAX + 1];
	struct recipients_place place;

	memset(template, 'x', MAILBOX_PATH_MAX);
	template[MAILBOX_PATH_MAX] = '\0';
	CHECK(find_first(template, SPAN("joe"), SPAN("example.org"), &place) ==
		RECIPIENTS_LONG);
}

/* NAME_MAX counts octets: 127 letters of two and one more octet just fit. */
static void test_a_name_is_as_long_as_its_octets(void)
{
	struct recipients_place place;
	char local[300];

	for (size_t n = 254; n <= 256; n++) {
		for (size_t i = 0; i + 1 < n; i += 2)
			memcpy(local + i, "é", 2);
		local[n - 1] = n % 2 ? 'a' : local[n - 1];
		CHECK(find_first("%u", (struct span){ local, n }, SPAN(""), &place) ==
			(n <= 255 ? RECIPIENTS_FOUND : RECIPIENTS_NAME));
	}
}

static const char table_path[] = "test-recipients.tmp";

/* Some lines, and what else is set. */
struct setting {
	const char *lines; /* NULL: no table */
	const char *template, *catch_all, *postmaster;
	char delimiter;
	enum create_choice create;
	bool logged_in;
};

/* ",path,path" or ",path!name": the other places of the line. */
static void put_others(struct buf *to, struct recipients_search *search)
{
	struct recipients_place place;
	enum recipients_result result;

	while ((result = recipients_also(search, &place)) == RECIPIENTS_FOUND) {
		buf_put_char(to, ',');
		buf_put_str(to, place.path);
	}
	buf_put_str(to, result == RECIPIENTS_NAME ? "!name" : "");
	CHECK(result == RECIPIENTS_NAME || result == RECIPIENTS_UNKNOWN);
}

/*
 * All places for the address, in order, until one may be made: "path path+ path,path !unknown", with a "+" behind
 * one that may, and commas between those of one line.
 */
static const char *route(const struct setting *set, const char *address)
{
	static const char *const ends[] = {
		[RECIPIENTS_NAME] = "!name",
		[RECIPIENTS_UNKNOWN] = "!unknown",
		[RECIPIENTS_AUTH] = "!auth",
		[RECIPIENTS_FAILED] = "!failed",
		[RECIPIENTS_LONG] = "!long",
	};
	static char octets[4 * MAILBOX_PATH_MAX];
	struct buf b = BUF(octets);
	struct recipients rs = {
		.template = set->template ? set->template : "%d/%u",
		.hostname = "mail.example.org",
		.catch_all = set->catch_all,
		.postmaster = set->postmaster,
		.delimiter = set->delimiter,
		.create = set->create,
	};
	const char *at = strrchr(address, '@');
	const struct recipient r = {
		.local = { address, at ? (size_t)(at - address) : strlen(address) },
		.domain = span_of(at ? at + 1 : NULL),
	};
	struct recipients_search search;
	struct recipients_place place = { .may_create = false };
	enum recipients_result result = RECIPIENTS_FOUND;
	char fault[TABLE_FAULT_MAX];

	if (set->lines) {
		FILE *f = fopen(table_path, "we");
		REQUIRE(f && fputs(set->lines, f) >= 0 && fclose(f) == 0);
		REQUIRE(table_open(table_path, false, &rs.table, fault) == 0);
		unlink(table_path);
	}
	recipients_begin(&search, &rs, &r, set->logged_in);
	while (result == RECIPIENTS_FOUND && !place.may_create) {
		result = recipients_next(&search, &place);
		buf_put(&b, b.n ? SPAN(" ") : SPAN(""));
		buf_put_str(&b, result == RECIPIENTS_FOUND ? place.path : ends[result]);
		if (result == RECIPIENTS_FOUND && place.may_create)
			buf_put_char(&b, '+');
		if (result == RECIPIENTS_FOUND)
			put_others(&b, &search);
	}
	/* over is over */
	if (result == RECIPIENTS_UNKNOWN)
		CHECK(recipients_next(&search, &place) == RECIPIENTS_UNKNOWN);
	table_close(rs.table);
	REQUIRE(buf_terminate(&b));
	return octets;
}

struct routed {
	const char *address, *route;
};

static void check_routes(const struct setting *set, const struct routed *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!CHECK_SPAN(span_of(route(set, cases[i].address)), cases[i].route))
			fprintf(stderr, "\t%s\n", cases[i].address);
}

static void test_the_most_specific_line_counts(void)
{
	const struct setting set = {
		.lines = "info@example.org\n"
			 "sales@example.org info\n"
			 "scanner@example.org scans/%u\n"
			 "Wrong@example.org wrong\n"
			 "abuse\n"
			 "postmaster admin\n"
			 "abuse@example.com tell/%d\n"
			 "@example.com all/%u\n"
			 "josé@xn--bcher-kva.example jose\n"
			 "info@[192.0.2.1] literal\n"
			 "postmaster@mail.example.org us\n",
		.create = CREATE_NO,
	};
	static const struct routed cases[] = {
		{ "info@example.org", "example.org/info !unknown" },
		{ "INFO@Example.ORG", "example.org/info !unknown" },
		{ "\"in\\fo\"@example.org", "example.org/info !unknown" },
		{ "sales@example.org", "info !unknown" },
		{ "scanner@example.org", "scans/scanner !unknown" },
		{ "wrong@example.org", "!unknown" },
		{ "nobody@example.org", "!unknown" },
		{ "abuse@example.org", "example.org/abuse !unknown" },
		{ "abuse@example.net", "example.net/abuse !unknown" },
		{ "abuse@example.com", "tell/example.com !unknown" },
		{ "anybody@example.com", "all/anybody !unknown" },
		{ "any+body@example.com", "all/any+body !unknown" },
		{ "postmaster@example.com", "admin !unknown" },
		{ "postmaster", "us !unknown" },
		{ "abuse", "mail.example.org/abuse !unknown" },
		{ "info", "!unknown" },
		{ "josé@xn--bcher-kva.example", "jose !unknown" },
		{ "info@[192.0.2.1]", "literal !unknown" },
		{ "a/b@example.com", "!name" },
		{ "\"..\"@example.com", "!name" },
		/* neither may be taken for the line of all others */
		{ "\"\"@example.com", "!name" },
		{ "\"\"@example.org", "!name" },
		{ "\"info@example.org\"@example.net", "!unknown" },
		{ "\"x@example.com\"@example.org", "!unknown" },
	};

	check_routes(&set, cases, TEST_COUNT(cases));
}

/* Real sender 24, RFC 5321 4.5.1 */
static void test_postmaster_has_a_mailbox(void)
{
	struct setting set = {
		.postmaster = "admin",
		.catch_all = "rest",
		.delimiter = '+',
		.create = CREATE_NO,
	};
	static const struct routed without_table[] = {
		{ "postmaster", "mail.example.org/postmaster admin rest !unknown" },
		{ "PostMaster@Example.org",
			"example.org/postmaster admin rest !unknown" },
		{ "\"postmaster\"@example.org",
			"example.org/postmaster admin rest !unknown" },
		{ "abuse@example.org", "example.org/abuse admin rest !unknown" },
		{ "postmaster+x@example.org",
			"example.org/postmaster+x example.org/postmaster admin rest "
			"!unknown" },
		{ "postmasters@example.org", "example.org/postmasters rest !unknown" },
		{ "joe@example.org", "example.org/joe rest !unknown" },
	};
	static const struct routed with_table[] = {
		{ "postmaster", "admin rest !unknown" },
		{ "postmaster@example.org", "box admin rest !unknown" },
		{ "postmaster@example.net", "!unknown" },
		{ "abuse@example.com", "all/abuse admin rest !unknown" },
		{ "abuse@example.org", "admin rest !unknown" },
		{ "joe@example.org", "rest !unknown" },
	};

	check_routes(&set, without_table, TEST_COUNT(without_table));
	set.lines = "postmaster@example.org box\n"
		    "postmaster@example.net deny\n"
		    "@example.com all/%u\n"
		    "boss@example.org boss\n";
	check_routes(&set, with_table, TEST_COUNT(with_table));
	set.postmaster = "boss@example.org";
	CHECK_SPAN(span_of(route(&set, "abuse@example.org")), "boss rest !unknown");
	set.catch_all = NULL;
	set.postmaster = "nobody@example.org";
	CHECK_SPAN(span_of(route(&set, "abuse@example.org")), "!unknown");
}

/* None that the engine lets in is so long. It must not be found by what fits of it. */
static void test_a_name_that_is_too_long_is_not_cut(void)
{
	char lines[NAMES_LOCAL_MAX + 64], quoted[2 * NAMES_LOCAL_MAX];
	const struct setting set = { .lines = lines, .template = "." };

	memset(lines, 'x', sizeof(lines));
	strcpy(lines + NAMES_LOCAL_MAX, "@example.org box\n");
	memset(quoted, 'x', sizeof(quoted));
	quoted[0] = '"';
	strcpy(quoted + 1 + NAMES_LOCAL_MAX, "\"@example.org");
	CHECK_SPAN(span_of(route(&set, quoted)), "box+");
	strcpy(quoted + 1 + NAMES_LOCAL_MAX, "x\"@example.org");
	CHECK_SPAN(span_of(route(&set, quoted)), "!name");
}

static void test_a_line_says_who_may_send_and_who_has_no_mailbox(void)
{
	struct setting set = {
		.lines = "scanner@example.org scans auth\n"
			 "old@example.org deny\n"
			 "fax auth\n"
			 "fax@example.org box\n"
			 "@example.org all/%u\n"
			 "broken@example.org a b\n"
			 "above@example.org ../x\n"
			 "percent@example.org %x\n"
			 "root@example.org /etc\n",
		.catch_all = "rest",
		.delimiter = '+',
		.create = CREATE_NO,
	};
	static const struct routed strangers[] = {
		{ "scanner@example.org", "!auth" },
		{ "\"Scanner\"@EXAMPLE.org", "!auth" },
		{ "scanner+x@example.org", "!auth" },
		{ "scanner@example.net", "rest !unknown" },
		{ "fax@example.org", "box rest !unknown" },
		{ "fax@example.net", "!auth" },
		{ "old@example.org", "!unknown" },
		{ "old+x@example.org", "!unknown" },
		{ "old@example.net", "rest !unknown" },
		{ "broken@example.org", "!failed" },
		{ "above@example.org", "!failed" },
		{ "percent@example.org", "!failed" },
		{ "root@example.org", "!failed" },
	};
	static const struct routed users[] = {
		{ "scanner@example.org", "scans rest !unknown" },
		{ "scanner+x@example.org", "scans rest !unknown" },
		{ "fax@example.net", "example.net/fax rest !unknown" },
		{ "old@example.org", "!unknown" },
	};

	check_routes(&set, strangers, TEST_COUNT(strangers));
	set.logged_in = true;
	check_routes(&set, users, TEST_COUNT(users));
}

static void test_a_line_names_several_mailboxes(void)
{
	struct setting set = {
		.lines = "sales@example.org sales,archive/%d,all\n"
			 "comma@example.org ./sales,archive\n"
			 "last@example.org all,./sales,archive\n"
			 "fax all,fax/%u auth\n"
			 "@example.com com/%u,all\n"
			 "tail@example.org all,\n",
		.catch_all = "rest",
		.delimiter = '+',
		.create = CREATE_NO,
	};
	static const struct routed cases[] = {
		{ "sales@example.org", "sales,archive/example.org,all rest !unknown" },
		{ "Sales+x@Example.ORG", "sales,archive/example.org,all rest !unknown" },
		{ "comma@example.org", "./sales,archive rest !unknown" },
		{ "last@example.org", "all,./sales,archive rest !unknown" },
		{ "fax@example.org", "!auth" },
		{ "joe+x@example.com", "com/joe,all rest !unknown" },
		{ "tail@example.org", "!failed" },
		{ "nobody@example.org", "rest !unknown" },
	};

	check_routes(&set, cases, TEST_COUNT(cases));
	set.logged_in = true;
	CHECK_SPAN(
		span_of(route(&set, "fax+a@example.org")), "all,fax/fax rest !unknown");
	set.catch_all = "sales@example.org";
	CHECK_SPAN(span_of(route(&set, "nobody@example.net")),
		"sales,archive/example.org,all !unknown");
}

static void test_a_subaddress_is_looked_up_whole_first(void)
{
	struct setting set = {
		.lines = "info@example.org\n"
			 "info+list@example.org lists/%u\n"
			 "fax+a b/%u\n"
			 "fax c/%u\n"
			 "+x@example.org plus\n"
			 "@example.com all/%u\n",
		.delimiter = '+',
		.create = CREATE_NO,
	};
	static const struct routed with[] = {
		{ "info@example.org", "example.org/info !unknown" },
		{ "info+a@example.org", "example.org/info !unknown" },
		{ "info+a+b@example.org", "example.org/info !unknown" },
		{ "INFO+A@example.org", "example.org/info !unknown" },
		{ "info+@example.org", "example.org/info !unknown" },
		{ "info+list@example.org", "lists/info+list !unknown" },
		{ "\"info+list\"@example.org", "lists/info+list !unknown" },
		{ "info+list+a@example.org", "example.org/info !unknown" },
		{ "fax+a@example.org", "b/fax+a !unknown" },
		{ "fax+b@example.org", "c/fax !unknown" },
		{ "+x@example.org", "plus !unknown" },
		{ "+y@example.org", "!unknown" },
		{ "joe+x@example.com", "all/joe !unknown" },
		{ "info-a@example.org", "!unknown" },
	};
	static const struct routed without_table[] = {
		{ "info@example.org", "example.org/info !unknown" },
		{ "info+a@example.org", "example.org/info+a example.org/info !unknown" },
		{ "+a@example.org", "example.org/+a !unknown" },
	};
	static const struct routed making[] = {
		{ "info@example.org", "example.org/info+" },
		{ "info+a@example.org", "example.org/info+a example.org/info+" },
	};

	check_routes(&set, with, TEST_COUNT(with));
	set.delimiter = '\0';
	CHECK_SPAN(span_of(route(&set, "info+a@example.org")), "!unknown");
	CHECK_SPAN(span_of(route(&set, "joe+x@example.com")), "all/joe+x !unknown");
	set = (struct setting){ .delimiter = '+', .create = CREATE_NO };
	check_routes(&set, without_table, TEST_COUNT(without_table));
	set.create = CREATE_YES;
	check_routes(&set, making, TEST_COUNT(making));
}

static void test_the_rest_goes_to_one_place(void)
{
	struct setting set = { .catch_all = "rest/%d", .create = CREATE_NO };
	static const struct routed directories[] = {
		{ "joe@example.org", "example.org/joe rest/example.org !unknown" },
		{ "a/b@example.org", "!name" },
		{ "\"..\"@example.org", "!name" },
	};
	static const struct routed table[] = {
		{ "joe@example.org", "joes rest/example.org !unknown" },
		{ "jim@example.org", "rest/example.org !unknown" },
		{ "a/b@example.org", "!name" },
		{ "\".x\"@example.org", "!name" },
		{ "jos\xe9@example.org", "!name" },
	};
	static const struct routed to_address[] = {
		{ "joe@example.org", "joes joes !unknown" },
		{ "jim@example.net", "joes !unknown" },
		{ "a/b@example.org", "!name" },
	};

	check_routes(&set, directories, TEST_COUNT(directories));
	set.lines = "joe@example.org joes\n";
	check_routes(&set, table, TEST_COUNT(table));
	set.catch_all = "joe@example.org";
	check_routes(&set, to_address, TEST_COUNT(to_address));
	set.catch_all = "nobody@example.org";
	CHECK_SPAN(span_of(route(&set, "jim@example.org")), "!unknown");
	set.lines = "joe@example.org deny\njoe+x@example.org auth\n";
	set.catch_all = "joe@example.org";
	CHECK_SPAN(span_of(route(&set, "jim@example.org")), "!unknown");
	set.catch_all = "joe+x@example.org";
	CHECK_SPAN(span_of(route(&set, "jim@example.org")), "!auth");
	set.lines = NULL;
	set.catch_all = "joe@example.org";
	CHECK_SPAN(span_of(route(&set, "jim@example.net")),
		"example.net/jim example.org/joe !unknown");
}

/* Only Maildirs that the settings contain are made automatically, so that clients cannot make others. */
static void test_strangers_make_no_directories(void)
{
	struct setting set = {
		.lines = "joe@example.org\n"
			 "fax\n"
			 "abuse one\n"
			 "@example.org\n"
			 "@example.com all\n"
			 "@example.net %d/all\n",
	};
	static const struct routed named[] = {
		{ "joe@example.org", "example.org/joe+" },
		{ "fax@example.edu", "example.edu/fax !unknown" },
		{ "abuse@example.edu", "one+" },
		{ "jim@example.org", "example.org/jim !unknown" },
		{ "jim@example.com", "all+" },
		{ "jim@example.net", "example.net/all+" },
	};

	check_routes(&set, named, TEST_COUNT(named));
	set.lines = NULL;
	CHECK_SPAN(span_of(route(&set, "jim@example.org")), "example.org/jim !unknown");
	set.catch_all = "rest/%u";
	CHECK_SPAN(span_of(route(&set, "jim@example.org")),
		"example.org/jim rest/jim !unknown");
	set.catch_all = "rest%%u";
	CHECK_SPAN(span_of(route(&set, "jim@example.org")), "example.org/jim rest%u+");
	set.catch_all = "joe@example.org";
	CHECK_SPAN(span_of(route(&set, "jim@example.org")),
		"example.org/jim example.org/joe+");
	set.catch_all = NULL;
	set.template = ".";
	CHECK_SPAN(span_of(route(&set, "jim@example.org")), ".+");
	set.create = CREATE_YES;
	set.template = "%u";
	CHECK_SPAN(span_of(route(&set, "jim@example.org")), "jim+");
	set.create = CREATE_NO;
	set.lines = "jim@example.org\n";
	CHECK_SPAN(span_of(route(&set, "jim@example.org")), "jim !unknown");
}

/* In the stage: the root is not a directory, so that opening always fails. */
static void test_a_stranger_is_refused_before_anything_is_opened(void)
{
	char fault[TABLE_FAULT_MAX];
	struct recipients rs = { .template = "%u", .hostname = "mail.example.org" };
	struct recipient r = {
		.local = SPAN("scanner"),
		.domain = SPAN("example.org"),
	};
	struct tx stranger = { .user = NULL }, user = { .user = "scanner" };
	struct maildir m;
	FILE *f = fopen(table_path, "we");

	REQUIRE(f && fputs("scanner@example.org auth\n", f) >= 0 && fclose(f) == 0);
	REQUIRE(table_open(table_path, false, &rs.table, fault) == 0);
	unlink(table_path);
	maildir_init(&m, &rs, "host");
	CHECK(m.stage.ops->rcpt(&m.stage, &stranger, &r) == reply_get(REPLY_AUTH_FIRST));
	CHECK(m.stage.ops->rcpt(&m.stage, &user, &r) == reply_get(REPLY_STORE_FAILED));
	m.stage.ops->clear(&m.stage);
	table_close(rs.table);
}

/* Real sender 15: paths that no address may make, and fixed paths of the settings */
static void test_a_place_is_of_all_or_no_part_of_a_maildir(void)
{
	static const struct {
		const char *template, *local;
		bool is_part;
		const char *fixed; /* the part of the path that no address names */
	} cases[] = {
		{ "%u", "new", true, "" },
		{ "%u", "CUR", true, "" },
		{ "%u", "\"t\\mp\"", true, "" },
		{ "%u/Maildir", "new", true, "" },
		{ "%d/%u", "tmp", true, "" },
		{ "a/%d//%u/", "tmp", true, "a" },
		{ "/%u", "new", true, "" },
		{ "n%u", "ew", true, "" },
		{ "%u", "newer", false, "" },
		{ "%u", "joe", false, "" },
		{ "x-%u", "new", false, "" },
		{ "new/%u", "joe", false, "new" },
		{ "a%%u/b/c-%u/d", "joe", false, "a%u/b" },
		{ "%u/new", "joe", false, "" },
		{ "%d", "new", false, "" },
		{ "new", "new", false, "new" },
		{ ".", "new", false, "." },
		{ "a%%u", "joe", false, "a%u" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct recipients_place place;
		CHECK(find_first(cases[i].template, span_of(cases[i].local),
			      SPAN("example.org"), &place) == RECIPIENTS_FOUND);
		CHECK(place.is_part == cases[i].is_part);
		CHECK_SPAN(((struct span){ place.path, place.n_fixed }), cases[i].fixed);
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
		TEST(test_a_path_that_does_not_fit_is_no_fault_of_the_name),
		TEST(test_a_name_is_as_long_as_its_octets),
		TEST(test_the_most_specific_line_counts),
		TEST(test_postmaster_has_a_mailbox),
		TEST(test_a_name_that_is_too_long_is_not_cut),
		TEST(test_a_line_says_who_may_send_and_who_has_no_mailbox),
		TEST(test_a_line_names_several_mailboxes),
		TEST(test_a_subaddress_is_looked_up_whole_first),
		TEST(test_the_rest_goes_to_one_place),
		TEST(test_strangers_make_no_directories),
		TEST(test_a_stranger_is_refused_before_anything_is_opened),
		TEST(test_a_place_is_of_all_or_no_part_of_a_maildir),
		TEST(test_a_host_in_a_file_name_has_no_separator),
	};

	return test_main(tests, TEST_COUNT(tests));
}
