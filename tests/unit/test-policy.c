/* SPDX-License-Identifier: ISC */
/* smtp/policy: the rules of acceptance, one by one. */
#include "smtp/policy.h"
#include "unit/few-names.h"
#include "unit/test.h"

static const char *const domains[] = { "example.net", "*.example.org", "[192.0.2.1]",
	"lo" };
static const char *const any[] = { "*" };

static const struct session_settings settings = {
	.domains = domains,
	.n_domains = TEST_COUNT(domains),
	.size_limit = 1000,
};

static const struct reply *ask_rcpt(
	const struct session_settings *by, const char *domain, size_t n_recipients)
{
	struct recipient r = { .domain = span_of(domain) };
	struct tx tx = { .recipients = &r, .n_recipients = n_recipients };
	struct policy p;
	const struct reply *reply;

	policy_init(&p, by);
	reply = p.stage.ops->rcpt(&p.stage, &tx, &r);
	policy_done(&p);
	return reply;
}

static const struct reply *ask_mail(
	const struct session_settings *by, struct mail_params params)
{
	struct tx tx = { .params = params };
	struct policy p;

	policy_init(&p, by);
	return p.stage.ops->mail(&p.stage, &tx);
}

static const struct reply *ask_body(const struct session_settings *by, uint64_t octets)
{
	struct tx tx = { .octets = octets };
	struct policy p;

	policy_init(&p, by);
	return p.stage.ops->body(&p.stage, &tx, SPAN(""));
}

static const struct reply *ask_prepare(const struct session_settings *by, struct tx tx)
{
	struct policy p;

	policy_init(&p, by);
	return p.stage.ops->prepare(&p.stage, &tx);
}

struct domain {
	const char *name;
	bool is_ours;
};

static void test_takes_mail_for_its_domains_alone(void)
{
	static const struct domain table[] = {
		{ .name = "example.net", .is_ours = true },
		{ .name = "EXAMPLE.net", .is_ours = true },
		{ .name = "a.example.org", .is_ours = true },
		{ .name = "A.b.Example.ORG", .is_ours = true },
		{ .name = "[192.0.2.1]", .is_ours = true },
		{ .name = "LO", .is_ours = true },
		{ .name = "a.lo" },
		{ .name = "", .is_ours = true }, /* postmaster, RFC 5321 4.5.1 */
		{ .name = "example.org" },
		{ .name = "badexample.org" },
		{ .name = "a.example.net" },
		{ .name = "example.net.evil.example" },
		{ .name = "example.ne" },
		{ .name = "*" },
		{ .name = "[192.0.2.2]" },
		{ .name = "xexample.org" },
		{ .name = "xxxxxxxxorg" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		const struct reply *r = ask_rcpt(&settings, table[i].name, 1);
		const struct reply *want =
			table[i].is_ours ? NULL : reply_get(REPLY_DOMAIN_UNKNOWN);
		if (!CHECK(r == want))
			fprintf(stderr, "\t%s\n", table[i].name);
	}
}

/* Real mail is handed on from a host with users: for other clients it would be an open relay. */
static void test_any_domain_is_for_users_where_there_are_some(void)
{
	static const char *const some[] = { "example.net", "*" };
	static const struct {
		const char *domain;
		bool needs_login, logged_in;
		enum reply_name want; /* REPLY_RECIPIENT_OK: none */
	} table[] = {
		{ "example.com", true, false, REPLY_AUTH_FIRST },
		{ "xn--bcher-kva.example", true, false, REPLY_AUTH_FIRST },
		{ "example.com", true, true, REPLY_RECIPIENT_OK },
		{ "example.net", true, false, REPLY_RECIPIENT_OK },
		{ "", true, false, REPLY_RECIPIENT_OK },
		{ "example.com", false, false, REPLY_RECIPIENT_OK },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct session_settings set = settings;
		struct recipient r = { .domain = span_of(table[i].domain) };
		struct tx tx = { .user = table[i].logged_in ? "scanner" : NULL };
		struct policy p;
		const struct reply *reply;
		set.domains = some;
		set.n_domains = TEST_COUNT(some);
		set.any_needs_login = table[i].needs_login;
		policy_init(&p, &set);
		reply = p.stage.ops->rcpt(&p.stage, &tx, &r);
		if (!CHECK(table[i].want == REPLY_RECIPIENT_OK
				    ? !reply
				    : reply == reply_get(table[i].want)))
			fprintf(stderr, "\t%s\n", table[i].domain);
		policy_done(&p);
	}
}

/* A login would be of no use for a domain that no setting has. */
static void test_an_unknown_domain_is_refused_with_and_without_a_login(void)
{
	struct session_settings set = settings;

	set.any_needs_login = true;
	CHECK(ask_rcpt(&set, "example.com", 1) == reply_get(REPLY_DOMAIN_UNKNOWN));
	CHECK(!ask_rcpt(&set, "example.net", 1));
}

/* The engine shows A-labels; settings may have either form. */
static void test_labels_of_both_forms_are_one(void)
{
	static const char *const written[] = { "BÜCHER.example", "*.straße.example", "é",
		"*" };
	static const struct {
		const char *name;
		bool is_ours, asks;
	} table[] = {
		{ "xn--bcher-kva.example", true, true },
		{ "XN--BCHER-KVA.Example", true, true },
		{ "a.xn--strae-oqa.example", true, true },
		{ "xn--nobody.xn--strae-oqa.example", true, true },
		{ "xn--strae-oqa.example", false, true },
		{ "a.xn--bcher-kva.example", false, true },
		{ "xn--9ca", false, true },
		{ "xn--n3h.example", false, true },
		/* no A-label: no form of theirs */
		{ "example", false, false },
		{ "axn--bcher-kva.example", false, false },
		{ "xn--", false, false },
		{ "strasse.example", false, false },
		{ "", true, false },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct session_settings set = settings;
		struct few_names names;
		const struct reply *r;
		few_names_init(&names);
		set.domains = written;
		set.n_domains = 3;
		set.names = &names.names;
		r = ask_rcpt(&set, table[i].name, 1);
		if (!CHECK(r ==
			    (table[i].is_ours ? NULL : reply_get(REPLY_DOMAIN_UNKNOWN))))
			fprintf(stderr, "\t%s\n", table[i].name);
		CHECK((names.n_asked > 0) == table[i].asks);
		/* if the name cannot be converted, the refusal is temporary, unless another domain matches */
		names.unavailable = true;
		r = ask_rcpt(&set, table[i].name, 1);
		if (table[i].asks)
			CHECK(r == reply_get(REPLY_NAMES_UNAVAILABLE));
		set.n_domains = 4;
		CHECK(!ask_rcpt(&set, table[i].name, 1));
	}
}

/* Each takes microseconds, and a client may ask for a thousand recipients. */
static void test_domains_are_converted_once(void)
{
	static const char *const written[] = { "example.net", "BÜCHER.example",
		"☃.example", "*.straße.example" };
	struct session_settings set = settings;
	struct few_names names;
	struct policy p;

	few_names_init(&names);
	set.domains = written;
	set.n_domains = TEST_COUNT(written);
	set.names = &names.names;
	policy_init(&p, &set);
	CHECK(!policy_judge_domain(&p, SPAN("example.net")));
	CHECK(policy_judge_domain(&p, SPAN("example.com")));
	CHECK(names.n_asked == 0);
	names.unavailable = true;
	CHECK(policy_judge_domain(&p, SPAN("xn--bcher-kva.example")) ==
		reply_get(REPLY_NAMES_UNAVAILABLE));
	names.names.fault = "no library";
	for (size_t i = 0; i < 2; i++) {
		struct recipient r = { .domain = SPAN("xn--bcher-kva.example") };
		CHECK(p.stage.ops->rcpt(&p.stage, &(struct tx){ 0 }, &r) ==
			reply_get(REPLY_NAMES_UNAVAILABLE));
		CHECK_SPAN(span_of(p.stage.fault), "no library");
	}
	names.unavailable = false;
	names.n_asked = 0;
	for (size_t i = 0; i < 100; i++) {
		CHECK(!policy_judge_domain(&p, SPAN("xn--bcher-kva.example")));
		CHECK(!policy_judge_domain(&p, SPAN("a.xn--strae-oqa.example")));
		CHECK(policy_judge_domain(&p, SPAN("xn--n3h.example")) ==
			reply_get(REPLY_DOMAIN_UNKNOWN));
	}
	CHECK(names.n_asked == 3);
	policy_done(&p);
}

static void test_a_star_takes_any_domain(void)
{
	struct session_settings open = settings;

	open.domains = any;
	open.n_domains = 1;
	CHECK(!ask_rcpt(&open, "anything.example", 1));
	CHECK(!ask_rcpt(&open, "", 1));
}

static void test_no_domain_leaves_postmaster(void)
{
	struct session_settings none = settings;

	none.n_domains = 0;
	CHECK(ask_rcpt(&none, "example.net", 1) == reply_get(REPLY_DOMAIN_UNKNOWN));
	CHECK(!ask_rcpt(&none, "", 1));
}

/* RFC 1870 6.1 */
static void test_a_declared_size_is_limited(void)
{
	struct session_settings no_limit = settings;

	no_limit.size_limit = 0;
	CHECK(!ask_mail(&settings, (struct mail_params){ 0 }));
	CHECK(!ask_mail(&settings, (struct mail_params){ .has_size = true, .size = 0 }));
	CHECK(!ask_mail(
		&settings, (struct mail_params){ .has_size = true, .size = 1000 }));
	CHECK(ask_mail(&settings,
		      (struct mail_params){ .has_size = true, .size = 1001 }) ==
		reply_get(REPLY_SIZE_DECLARED));
	CHECK(ask_mail(&settings,
		      (struct mail_params){ .has_size = true, .size = UINT64_MAX }) ==
		reply_get(REPLY_SIZE_DECLARED));
	CHECK(!ask_mail(
		&no_limit, (struct mail_params){ .has_size = true, .size = UINT64_MAX }));
}

/* RFC 1870 6.3: the actual size counts, not the declared one */
static void test_an_actual_size_is_limited(void)
{
	struct session_settings no_limit = settings;

	no_limit.size_limit = 0;
	CHECK(!ask_body(&settings, 1000));
	CHECK(ask_body(&settings, 1001) == reply_get(REPLY_SIZE_ACTUAL));
	CHECK(!ask_body(&no_limit, UINT64_MAX));
}

static void test_bare_newlines_are_refused_where_asked(void)
{
	struct session_settings reject = settings;

	reject.bare_newline = BARE_REJECT;
	CHECK(!ask_prepare(&settings, (struct tx){ .bare = true }));
	CHECK(!ask_prepare(&reject, (struct tx){ .bare = false }));
	CHECK(ask_prepare(&reject, (struct tx){ .bare = true }) ==
		reply_get(REPLY_CONTENT_BARE));
}

static void test_overlong_lines_are_refused(void)
{
}

/* RFC 5321 6.3: the threshold is at least 100; 100 fields are too many */
static void test_loops_end(void)
{
	CHECK(!ask_prepare(&settings, (struct tx){ .header.n_received = 99 }));
	CHECK(ask_prepare(&settings, (struct tx){ .header.n_received = 101 }) ==
		reply_get(REPLY_HOPS));
	CHECK(ask_prepare(&settings, (struct tx){ .header.n_received = 100 }) ==
		reply_get(REPLY_HOPS));
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_takes_mail_for_its_domains_alone),
		TEST(test_any_domain_is_for_users_where_there_are_some),
		TEST(test_an_unknown_domain_is_refused_with_and_without_a_login),
		TEST(test_labels_of_both_forms_are_one),
		TEST(test_domains_are_converted_once),
		TEST(test_a_star_takes_any_domain),
		TEST(test_no_domain_leaves_postmaster),
		TEST(test_a_declared_size_is_limited),
		TEST(test_an_actual_size_is_limited),
		TEST(test_bare_newlines_are_refused_where_asked),
		TEST(test_overlong_lines_are_refused),
		TEST(test_loops_end),
	};

	return test_main(tests, TEST_COUNT(tests));
}
