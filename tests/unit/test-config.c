/* SPDX-License-Identifier: ISC */
/* The settings: valid values, faults and their texts, and conditions between several settings. */
#include <stdio.h>
#include <unistd.h>
#include "edge/settings/config-keys.h"
#include "unit/heard.h"
#include "unit/test.h"

/* Takes the pairs, up to NULL. True without a fault. */
static bool take(struct config *c, struct heard *h, const char *const *pairs)
{
	h->text[0] = '\0';
	config_init(c, "/run/credentials/x", hear, h);
	for (; *pairs; pairs++)
		config_override(c, *pairs);
	return config_finish(c);
}

static void test_every_wrong_value_has_a_sentence(void)
{
	static const struct {
		const char *pair, *fault;
	} cases[] = {
		{ "nonsense=1", "-o: nonsense: no such setting; see postern.conf(5)" },
		{ "tls", "-o: tls: is not of the form key=value" },
		{ "=x", "-o: =x: is not of the form key=value" },
		{ "tls=maybe", "-o: tls: must be one of: off on required implicit" },
		{ "bare-newline=", "must be one of: normalize reject" },
		{ "log=file", "must be one of: auto stderr syslog journal" },
		{ "sandbox=on", "-o: sandbox: must be yes or no" },
		{ "hostname=-x", "must be a domain name or an address literal" },
		{ "hostname=a b", "must be a domain name or an address literal" },
		{ "banner=\tx\x01", "must be printable ASCII" },
		{ "hostname=bücher.example",
			"must be a domain name or an address literal" },
		{ "domains=a..b", "must be domain names" },
		{ "domains=b\xfc"
		  "cher.example",
			"must be domain names" },
		{ "domains=*.bücher..example", "must be domain names" },
		{ "min-data-rate=fast", "must be a number of octets, optionally with K, "
					"M or G; 0 for no limit" },
		{ "timeout=0", "must be a time from 1s to 24h" },
		{ "timeout=25h", "must be a time from 1s to 24h" },
		{ "timeout=5d", "must be a time from 1s to 24h" },
		{ "timeout=-1", "must be a time from 1s to 24h" },
		{ "size-limit=1T", "must be a number of octets" },
		{ "size-limit=18446744073709551616", "must be a number of octets" },
		{ "size-limit=18446744073709551615K", "must be a number of octets" },
		{ "recipient-limit=99", "must be at least 100 (RFC 5321 4.5.3.1.8)" },
		{ "transaction-limit=1000000", "must be a number from 1 to 999999" },
		{ "error-limit=0", "must be a number from 1 to 999999" },
		{ "maildir=/srv/../etc", "must not have .. in it" },
		{ "maildir=/srv/%x", "may have %u, %d and %% in it, and no other %" },
		{ "maildir=/srv/%", "may have %u, %d and %% in it, and no other %" },
		{ "maildir=/srv/mail /%u", "has a directory whose name ends in a blank" },
		{ "maildir=/srv/mail\t/", "has a directory whose name ends in a blank" },
		{ "maildir=/mail\r/box-%u",
			"has a directory whose name ends in a blank" },
		{ "catch-all=/srv/rest", "must be a path that begins at mail-root" },
		{ "catch-all=a/../b", "must not have .. in it" },
		{ "catch-all=a%", "may have %u, %d and %% in it, and no other %" },
		{ "catch-all=@example.org", "-o: catch-all: is no address" },
		{ "catch-all=Info@example.org", "must be in lower case" },
		{ "catch-all=info@-", "is no address: its domain cannot be one" },
		{ "catch-all=info@bücher.example", "must have its domain as A-labels" },
		{ "postmaster=../admin", "-o: postmaster: must not have .. in it" },
		{ "postmaster=/srv/admin", "must be a path that begins at mail-root" },
		{ "postmaster=@example.org", "-o: postmaster: is no address" },
		{ "log-level=notice", "must be one of: debug info warning error" },
		{ "subaddress-delimiter=+-", "must be one character" },
		{ "subaddress-delimiter=a", "must be one character" },
		{ "subaddress-delimiter=/", "must be one character" },
		{ "subaddress-delimiter=%", "must be one character" },
		{ "subaddress-delimiter=.", "must be one character" },
		{ "subaddress-delimiter=@", "must be one character" },
		{ "tls-key=credential:a/b", "credential: takes a name, not a path" },
		{ "tls-key=tls.key", "tls-key: must be an absolute path, such as "
				     "/etc/postern/tls.key" },
		{ "tls-certificate=/a.pem ./b.pem",
			"must be an absolute path, such as /etc/postern/b.pem" },
		{ "recipients=passwd:/etc/passwd", "passwd: stands alone" },
		{ "recipients=passwd", "must be an absolute path" },
		{ "first-valid-uid=0", "must be the number of a user, from 1 to" },
		{ "first-valid-uid=root", "must be the number of a user, from 1 to" },
		{ "last-valid-uid=4294967295",
			"must be the number of a user, from 1 to" },
		{ "recipients=../r", "must be an absolute path, such as /etc/postern\n" },
		{ "log=json:relative.json", "log: must be an absolute path, such as "
					    "json:/var/log/postern/relative.json" },
		{ "dsn-outbox=outbox",
			"must be an absolute path, such as /var/lib/postern/outbox" },
		{ "mail-root=mail", "must be an absolute path, such as /srv/mail" },
		{ "tls-certificate=/a.pem,/b.pem", "tls-certificate: has a comma: the "
						   "files are separated by blanks" },
		{ "tls-key=/a.key, /b.key", "has a comma: the files" },
		{ "tls-key=/a.key ,", "has a comma: the files" },
		{ "tls-key=credential:a,credential:b", "has a comma: the files" },
		{ "proxy-protocol=192.0.2.1, 192.0.2.2",
			"192.0.2.1, has a comma: networks are separated by blanks" },
		{ "domains=*.[192.0.2.1]", "must be domain names" },
		{ "tls-client-ca=credential:a/b",
			"credential: takes a name, not a path" },
		{ "proxy-protocol=192.0.2.1 192.0.2.1/24",
			"-o: proxy-protocol: 192.0.2.1/24 has bits set behind its "
			"prefix" },
		{ "proxy-protocol=lb.example.org",
			"-o: proxy-protocol: lb.example.org is not a network such as" },
		{ "proxy-protocol=192.0.2.1,192.0.2.2",
			"has a comma: networks are separated by blanks" },
		{ "proxy-protocol=yes", "-o: proxy-protocol: yes is not a network" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct config c;
		struct heard h;
		const char *pairs[] = { "maildir=/srv", cases[i].pair, NULL };
		CHECK(!take(&c, &h, pairs));
		if (!CHECK(strstr(h.text, cases[i].fault)))
			fprintf(stderr, "\t%s: %s", cases[i].pair, h.text);
		config_done(&c);
	}
}

/* Both forms are accepted; --check applies the rules of IDNA. */
static void test_domains_may_be_in_utf8(void)
{
	const char *pairs[] = { "maildir=/srv", "domains=bücher.example *.straße.example",
		NULL };
	struct config c;
	struct heard h;

	CHECK(take(&c, &h, pairs));
	CHECK(c.session.n_domains == 2);
	CHECK_SPAN(span_of(c.session.domains[0]), "bücher.example");
	CHECK_SPAN(span_of(c.session.domains[1]), "*.straße.example");
	config_done(&c);
}

/* Rows of a listener are the last ones: a connection does not parse their defaults. */
static void test_the_rows_of_a_listener_are_counted(void)
{
	CHECK_SPAN(span_of(config_keys[config_names.n - CONFIG_KEYS_OF_LISTENER].name),
		"tls-key-agent");
}

/* config_init() does not parse the default of a row without a value. */
static void test_a_default_that_is_not_parsed_is_zero(void)
{
	static const struct config zeros;

	for (size_t i = 0; i < config_names.n; i++) {
		struct config c;
		memset(&c, 0, sizeof(c));
		if (config_keys[i].value)
			continue;
		CHECK(!config_keys[i].parse(
			&c, &config_keys[i], config_default(&config_keys[i])));
		if (!CHECK(memcmp(&c, &zeros, sizeof(c)) == 0))
			fprintf(stderr, "\t%s\n", config_keys[i].name);
	}
}

static void test_units_count(void)
{
	const char *pairs[] = { "maildir=/srv", "timeout=2m", "session-timeout=3h",
		"size-limit=10M", "error-limit=7", NULL };
	struct config c;
	struct heard h;

	CHECK(take(&c, &h, pairs));
	CHECK(c.timeout == 120);
	CHECK(c.session_timeout == 3 * 3600);
	CHECK(c.session.size_limit == 10 * 1024 * 1024);
	CHECK(c.session.error_limit == 7);
	config_done(&c);
}

static void test_the_panels_word_for_required_is_ssl(void)
{
	const char *pairs[] = { "maildir=/srv", "tls=ssl", "tls-certificate=/c", NULL };
	struct config c;
	struct heard h;

	CHECK(take(&c, &h, pairs));
	CHECK(c.session.tls == TLS_REQUIRED);
	config_done(&c);
}

static void test_mail_root_is_what_all_maildirs_share(void)
{
	static const struct {
		const char *maildir, *root, *want_root, *want_maildir;
	} cases[] = {
		{ "maildir=/srv/mail", NULL, "/srv/mail", "." },
		{ "maildir=/srv/mail/", NULL, "/srv/mail", "." },
		{ "maildir=/srv/%d/%u", NULL, "/srv", "%d/%u" },
		{ "maildir=/srv/box-%u", NULL, "/srv", "box-%u" },
		{ "maildir=/%u", NULL, "/", "%u" },
		{ "maildir=%d/%u", "mail-root=/srv", "/srv", "%d/%u" },
		{ "maildir=/srv/a/%u", "mail-root=/srv", "/srv", "a/%u" },
		{ "maildir=/srv/a/%u", "mail-root=/srv/", "/srv/", "a/%u" },
		{ "maildir=/srv/a", "mail-root=/", "/", "srv/a" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct config c;
		struct heard h;
		const char *pairs[] = { cases[i].maildir, cases[i].root, NULL };
		CHECK(take(&c, &h, pairs));
		CHECK_SPAN(span_of(c.mail_root), cases[i].want_root);
		CHECK_SPAN(span_of(c.maildir), cases[i].want_maildir);
		config_done(&c);
	}
}

static void test_mail_goes_where_the_settings_say(void)
{
	const char *pairs[] = { "maildir=/srv/%d/%u", "hostname=mail.example.org",
		"recipients=/etc/recipients.cdb", "catch-all=%d/rest@x",
		"subaddress-delimiter=+", NULL };
	struct config c;
	struct heard h;

	CHECK(take(&c, &h, pairs));
	CHECK_SPAN(span_of(c.recipients_file), "/etc/recipients.cdb");
	CHECK_SPAN(span_of(c.recipients.template), "%d/%u");
	CHECK_SPAN(span_of(c.recipients.hostname), "mail.example.org");
	CHECK_SPAN(span_of(c.recipients.catch_all), "%d/rest@x");
	CHECK(c.recipients.delimiter == '+');
	CHECK(!c.recipients.table);
	config_done(&c);
	pairs[2] = "recipients=";
	pairs[3] = "catch-all=";
	pairs[4] = "subaddress-delimiter=";
	CHECK(take(&c, &h, pairs));
	CHECK(!c.recipients_file && !c.recipients.catch_all && !c.recipients.delimiter);
	config_done(&c);
}

static void test_users_of_the_system_have_maildirs_in_their_homes(void)
{
	const char *pairs[] = { "recipients=passwd:", NULL, NULL, NULL };
	struct config c;
	struct heard h;

	CHECK(take(&c, &h, pairs));
	CHECK(c.has_users && !c.recipients_file && c.recipients.users == &c.users);
	CHECK_SPAN(span_of(c.mail_root), "/home");
	CHECK_SPAN(span_of(c.recipients.template), "Maildir");
	CHECK(c.users.first == 1000 && c.users.last == 60000);
	/* no mail-root is made, and a Maildir only in a home that is not empty */
	CHECK(c.maildir_create == CREATE_NO && c.recipients.create == CREATE_AUTO);
	config_done(&c);
	pairs[1] = "mail-root=/srv/homes";
	pairs[2] = "maildir=mail/in";
	CHECK(take(&c, &h, pairs));
	CHECK_SPAN(span_of(c.mail_root), "/srv/homes");
	CHECK_SPAN(span_of(c.recipients.template), "mail/in");
	config_done(&c);
	pairs[0] = "recipients=/etc/recipients";
	CHECK(take(&c, &h, pairs));
	CHECK(!c.has_users && !c.recipients.users);
	config_done(&c);
}

static void test_settings_that_do_not_fit_users_of_the_system_are_refused(void)
{
	static const struct {
		const char *pair, *want;
	} cases[] = {
		{ "maildir=/srv/%u", "maildir: is a path in the home of each user" },
		{ "catch-all=rest", "catch-all: must be the address of a user" },
		{ "postmaster=rest", "postmaster: must be the address of a user" },
		{ "last-valid-uid=999", "last-valid-uid: is below first-valid-uid" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const char *pairs[] = { "recipients=passwd:", cases[i].pair, NULL };
		struct config c;
		struct heard h;
		CHECK(!take(&c, &h, pairs));
		CHECK(strstr(h.text, cases[i].want));
		config_done(&c);
	}
}

static void test_a_maildir_outside_mail_root_is_refused(void)
{
	static const char *const outside[] = { "maildir=/etc/%u", "maildir=/srvx/%u" };

	for (size_t i = 0; i < TEST_COUNT(outside); i++) {
		const char *pairs[] = { outside[i], "mail-root=/srv", NULL };
		struct config c;
		struct heard h;
		CHECK(!take(&c, &h, pairs));
		CHECK(strstr(h.text, "maildir: is not below mail-root"));
		config_done(&c);
	}
}

static void test_one_maildir_is_created_and_those_of_a_template_are_not(void)
{
	static const struct {
		const char *maildir, *create;
		enum create_choice want, of_recipients;
	} cases[] = {
		{ "maildir=/srv", "maildir-create=auto", CREATE_YES, CREATE_YES },
		{ "maildir=/srv/%u", "maildir-create=auto", CREATE_NO, CREATE_AUTO },
		{ "maildir=/srv/%u", "maildir-create=yes", CREATE_YES, CREATE_YES },
		{ "maildir=/srv", "maildir-create=no", CREATE_NO, CREATE_NO },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const char *pairs[] = { cases[i].maildir, cases[i].create, NULL };
		struct config c;
		struct heard h;
		CHECK(take(&c, &h, pairs));
		CHECK(c.maildir_create == cases[i].want);
		CHECK(c.recipients.create == cases[i].of_recipients);
		config_done(&c);
	}
}

static void test_logging_in_needs_what_it_is_done_with(void)
{
	static const struct {
		const char *pairs[6];
		const char *fault;
	} cases[] = {
		{ { "auth=on", "tls-client-ca=/ca" }, NULL },
		{ { "auth=on", "auth-users=/u", "auth-secret=/s" }, NULL },
		{ { "auth=on" }, "auth: needs auth-users, or tls-client-ca" },
		{ { "auth-users=/u" }, "auth-users: needs auth-secret" },
		{ { "auth-certificates=/c" }, "auth-certificates: needs tls-client-ca" },
		{ { "auth-senders=/c" }, NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const char *pairs[9] = { "maildir=/srv", "tls=on", "tls-certificate=/c" };
		struct config c;
		struct heard h;
		memcpy(pairs + 3, cases[i].pairs, sizeof(cases[i].pairs));
		CHECK(take(&c, &h, pairs) == !cases[i].fault);
		if (cases[i].fault && !CHECK(strstr(h.text, cases[i].fault)))
			printf("# %s", h.text);
		config_done(&c);
	}
}

static void test_certificates_and_keys_pair_up(void)
{
	const char *pairs[] = { "maildir=/srv", "tls=on",
		"tls-certificate=/a /b credential:c", "tls-key=/ka  /kb", NULL };
	struct config c;
	struct heard h;

	CHECK(take(&c, &h, pairs));
	REQUIRE(c.tls.n_pairs == 3);
	CHECK_SPAN(span_of(c.tls.pairs[0].key), "/ka");
	CHECK_SPAN(span_of(c.tls.pairs[1].certificate), "/b");
	CHECK_SPAN(span_of(c.tls.pairs[2].certificate), "/run/credentials/x/c");
	CHECK_SPAN(span_of(c.tls.pairs[2].key), "/run/credentials/x/c");
	config_done(&c);
}

static void test_one_file_may_be_a_credential(void)
{
	const char *credential[] = { "maildir=/srv", "tls-client-ca=credential:ca",
		NULL };
	const char *path[] = { "maildir=/srv", "tls-client-ca=/etc/ca.pem", NULL };
	struct config c;
	struct heard h;

	CHECK(take(&c, &h, credential));
	CHECK_SPAN(span_of(c.tls.client_ca), "/run/credentials/x/ca");
	config_done(&c);
	CHECK(take(&c, &h, path));
	CHECK_SPAN(span_of(c.tls.client_ca), "/etc/ca.pem");
	config_done(&c);
}

static void test_proxies_are_a_list_of_networks(void)
{
	const char *pairs[] = { "maildir=/srv",
		"proxy-protocol= 192.0.2.0/28 \t2001:db8::/32 ", NULL };
	struct config c;
	struct heard h;

	CHECK(take(&c, &h, pairs));
	REQUIRE(c.proxies.n == 2);
	CHECK(c.proxies.list[0].ip.n == IPV4_OCTETS && c.proxies.list[0].prefix == 28);
	CHECK(c.proxies.list[1].ip.n == IPV6_OCTETS && c.proxies.list[1].prefix == 32);
	/* the last one counts, and one that is wrong leaves none */
	config_override(&c, "proxy-protocol=192.0.2.1");
	CHECK(c.proxies.n == 1 && c.proxies.list[0].prefix == 32);
	config_override(&c, "proxy-protocol=192.0.2.1 x");
	CHECK(c.proxies.n == 0);
	config_override(&c, "proxy-protocol=");
	CHECK(c.proxies.n == 0);
	config_done(&c);
}

static void test_what_belongs_together_is_missed(void)
{
	static const struct {
		const char *a, *b, *fault;
	} cases[] = {
		{ "tls=off", NULL, "maildir: not set; say where mail goes" },
		{ "maildir=/srv", "tls=on", "tls: needs tls-certificate and tls-key" },
		{ "maildir=/srv", "auth=on",
			"-o: auth: needs tls, as a client cannot log in in the clear" },
		{ "maildir=/srv", "auth=required", "auth: needs tls" },
		{ "maildir=/srv", "auth=yes", "auth: must be one of: off on required" },
		{ "maildir=/srv", "tls-key=/k",
			"tls-key: has more files than tls-certificate" },
		/* any client could write reports there */
		{ "maildir=/srv/%u", "dsn-outbox=/srv/outbox",
			"-o: dsn-outbox: must not lie in mail-root, where mail goes" },
		{ "maildir=/srv/mail", "dsn-outbox=/srv/mail", "must not lie in" },
		{ "maildir=/srv/mail/", "dsn-outbox=/srv/mail/x", "must not lie in" },
		{ "maildir=/%u", "dsn-outbox=/outbox", "must not lie in mail-root" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const char *pairs[] = { cases[i].a, cases[i].b, NULL };
		struct config c;
		struct heard h;
		CHECK(!take(&c, &h, pairs));
		CHECK(strstr(h.text, cases[i].fault));
		config_done(&c);
	}
}

static void test_an_outbox_may_lie_beside_the_mail(void)
{
	static const char *const places[] = { "dsn-outbox=/srv/mailbox",
		"dsn-outbox=/srv", "dsn-outbox=" };

	for (size_t i = 0; i < TEST_COUNT(places); i++) {
		const char *pairs[] = { "maildir=/srv/mail", places[i], NULL };
		struct config c;
		struct heard h;
		CHECK(take(&c, &h, pairs));
		CHECK(!c.session.dsn);
		if (places[i][11])
			CHECK_SPAN(span_of(c.dsn_outbox), places[i] + 11);
		else
			CHECK(!c.dsn_outbox);
		config_done(&c);
	}
}

/* Settings from a file with that text; ret_path is the file's name, which is gone. */
static void read_file(struct config *c, struct heard *h, const char *text, char *ret_path)
{
	size_t n = strlen(text);
	int fd = mkstemp(ret_path);

	REQUIRE(fd >= 0 && write(fd, text, n) == (ssize_t)n);
	close(fd);
	config_init(c, NULL, hear, h);
	config_read(c, ret_path, true);
	unlink(ret_path);
}

static void test_a_file_tells_the_line_of_each_fault(void)
{
	char path[] = "/tmp/postern-config-XXXXXX";
	static const char text[] = "# a comment\n\nmaildir = /srv/%u \r\nnonsense\n"
				   "tls = 7\nmaildir = /again\n  banner=hello  there";
	char want[256];
	struct config c;
	struct heard h = { "" };

	read_file(&c, &h, text, path);
	CHECK(!config_finish(&c));
	snprintf(want, sizeof(want),
		"%s:4: is not of the form key = value\n"
		"%s:5: tls: must be one of: off on required implicit\n"
		"%s:6: maildir: set twice\n",
		path, path, path);
	CHECK_SPAN(span_of(h.text), want);
	CHECK_SPAN(span_of(c.session.banner), "hello  there");
	CHECK_SPAN(span_of(c.maildir), "%u");
	config_done(&c);
}

/* Real sender 20, RFC 3629 6: a byte order mark is no part of the first key. */
static void test_a_byte_order_mark_is_skipped(void)
{
	char path[] = "/tmp/postern-config-XXXXXX";
	static const char text[] = "\xef\xbb\xbf"
				   "banner = hello\nmaildir = /srv/%u\n";
	struct config c;
	struct heard h = { "" };

	read_file(&c, &h, text, path);
	CHECK(config_finish(&c));
	CHECK_SPAN(span_of(h.text), "");
	CHECK_SPAN(span_of(c.session.banner), "hello");
	config_done(&c);
}

static void test_the_command_line_overrules_the_file(void)
{
	char path[] = "/tmp/postern-config-XXXXXX";
	struct config c;
	struct heard h = { "" };

	read_file(&c, &h, "maildir=/srv\n", path);
	config_override(&c, "maildir=/other");
	config_override(&c, "maildir=/third");
	CHECK(config_finish(&c));
	CHECK_SPAN(span_of(c.mail_root), "/third");
	config_done(&c);
}

static void test_a_missing_file_is_a_fault_when_it_was_named(void)
{
	struct config c;
	struct heard h = { "" };

	config_init(&c, NULL, hear, &h);
	config_read(&c, "/nonexistent/postern.conf", false);
	CHECK(c.faults.n == 0);
	config_read(&c, "/nonexistent/postern.conf", true);
	CHECK(strstr(h.text, "/nonexistent/postern.conf: No such file or directory; "
			     "put it there: install -D -m 0644 -o "));
	config_read(&c, "/", true);
	CHECK(strstr(h.text, "/: Is a directory; name a file\n"));
	config_done(&c);
}

static void test_a_printed_file_is_read_back_the_same(void)
{
	char path[] = "/tmp/postern-config-XXXXXX";
	const char *pairs[] = { "maildir=/srv/%u", "tls=ssl", "tls-certificate=/c",
		NULL };
	struct config c, again;
	struct heard h;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	REQUIRE(f && take(&c, &h, pairs));
	config_print(&c, f);
	fclose(f);
	h.text[0] = '\0';
	config_init(&again, NULL, hear, &h);
	config_read(&again, path, true);
	CHECK(config_finish(&again));
	CHECK_SPAN(span_of(h.text), "");
	CHECK(again.session.tls == TLS_REQUIRED);
	CHECK_SPAN(span_of(again.mail_root), "/srv");
	CHECK_SPAN(span_of(again.maildir), "%u");
	CHECK_SPAN(span_of(again.session.hostname), c.session.hostname);
	config_done(&c);
	config_done(&again);
	unlink(path);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_every_wrong_value_has_a_sentence),
		TEST(test_domains_may_be_in_utf8),
		TEST(test_the_rows_of_a_listener_are_counted),
		TEST(test_a_default_that_is_not_parsed_is_zero),
		TEST(test_units_count),
		TEST(test_the_panels_word_for_required_is_ssl),
		TEST(test_mail_root_is_what_all_maildirs_share),
		TEST(test_mail_goes_where_the_settings_say),
		TEST(test_users_of_the_system_have_maildirs_in_their_homes),
		TEST(test_settings_that_do_not_fit_users_of_the_system_are_refused),
		TEST(test_a_maildir_outside_mail_root_is_refused),
		TEST(test_one_maildir_is_created_and_those_of_a_template_are_not),
		TEST(test_logging_in_needs_what_it_is_done_with),
		TEST(test_certificates_and_keys_pair_up),
		TEST(test_one_file_may_be_a_credential),
		TEST(test_proxies_are_a_list_of_networks),
		TEST(test_what_belongs_together_is_missed),
		TEST(test_an_outbox_may_lie_beside_the_mail),
		TEST(test_a_file_tells_the_line_of_each_fault),
		TEST(test_a_byte_order_mark_is_skipped),
		TEST(test_the_command_line_overrules_the_file),
		TEST(test_a_missing_file_is_a_fault_when_it_was_named),
		TEST(test_a_printed_file_is_read_back_the_same),
	};

	return test_main(tests, TEST_COUNT(tests));
}
