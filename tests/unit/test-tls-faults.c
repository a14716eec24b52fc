/* SPDX-License-Identifier: ISC */
/*
 * The faults of certificates, keys, ticket keys and priority strings that the module tls.so reports, and the result
 * in spite of them. The program replaces the function that opens files, so that a file can be changed at the moment
 * it is read, and be refused even for root.
 */
#include "unit/tls-lab.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

/* Called when a path is opened; returns an errno, or 0 to continue. */
static int (*on_open)(const char *path);
static unsigned int n_opened;

int open(const char *path, int flags, ...)
{
	int error = on_open ? on_open(path) : 0;
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	if (error) {
		errno = error;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int load(const struct tls_settings *settings, struct lab_faults *faults)
{
	const struct tls_report report = { .ctx = faults, .fault = lab_hear };
	struct tls_credentials *credentials = NULL;
	int r;

	faults->n = 0;
	r = lab_api->load(settings, &report, &credentials);
	CHECK((r == 0) == (credentials != NULL));
	lab_api->unload(credentials);
	return r;
}

static size_t check_priority(
	const struct tls_settings *settings, struct lab_faults *faults)
{
	const struct tls_report report = { .ctx = faults, .fault = lab_hear };
	size_t n;

	faults->n = 0;
	n = lab_api->check_priority(settings, &report);
	CHECK(n == faults->n);
	return n;
}

static size_t check(const struct tls_settings *settings, struct lab_faults *faults)
{
	const struct tls_report report = { .ctx = faults, .fault = lab_hear };
	size_t n;

	faults->n = 0;
	n = lab_api->check(settings, &report);
	CHECK(n == faults->n);
	return n;
}

/* The fault names the file and begins as is wanted: "SETTING PATH: WHAT" */
static void check_fault(const struct lab_faults *faults, size_t i, const char *setting,
	const char *path, const char *what)
{
	char want[2 * TLS_FAULT_TEXT];

	snprintf(want, sizeof(want), "%s%s%s: %s", setting, path ? " " : "",
		path ? path : "", what);
	if (!CHECK(i < faults->n) ||
		!CHECK(strncmp(faults->text[i], want, strlen(want)) == 0))
		fprintf(stderr, "\tgot:  '%s'\n\twant: '%s'\n",
			i < faults->n ? faults->text[i] : "(none)", want);
}

struct pair_case {
	const char *certificate;
	const char *key;
	bool key_is_blamed;
	const char *what;
};

static void check_pair_case(const struct pair_case *c)
{
	const struct lab_path paths[] = { lab_path(c->certificate, ""),
		lab_path(c->key, "") };
	const struct tls_settings s = lab_settings(paths, 1);
	const char *setting = c->key_is_blamed ? "tls-key" : "tls-certificate";
	struct lab_faults faults;

	CHECK(load(&s, &faults) == -EINVAL);
	CHECK(faults.n == 1);
	check_fault(&faults, 0, setting, paths[c->key_is_blamed].text, c->what);
	CHECK(check(&s, &faults) == 1);
	check_fault(&faults, 0, setting, paths[c->key_is_blamed].text, c->what);
}

static void test_unusable_pairs_are_named(void)
{
	static const struct pair_case cases[] = {
		{ "good.pem", "absent", true, "No such file or directory" },
		{ "absent", "good.key", false, "No such file or directory" },
		{ "good.pem", ".", true, "is not a regular file" },
		{ "good.pem", "fifo", true, "is not a regular file" },
		{ "large", "good.key", false, "is larger than 262144 octets" },
		{ "empty", "good.key", false,
			"holds no certificate in PEM that can be read" },
		{ "good.key", "good.key", false,
			"holds no certificate in PEM that can be read" },
		{ "torn.pem", "good.key", false,
			"holds no certificate in PEM that can be read" },
		{ "good.pem", "good.pem", true,
			"holds no private key in PEM that can be read" },
		{ "good.pem", "torn.key", true,
			"holds no private key in PEM that can be read" },
		{ "good.pem", "secret.key", true, "is encrypted" },
		{ "good.pem", "other.key", true,
			"is the key of another certificate than" },
		{ "rsa.pem", "good.key", true, "is the key of another certificate than" },
		{ "good.pem", "rsa.key", true, "is the key of another certificate than" },
		{ "reversed.pem", "good.key", true,
			"is the key of another certificate than" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		check_pair_case(&cases[i]);
}

static int refuse_keys(const char *path)
{
	return strstr(path, ".key") ? EACCES : 0;
}

static void test_an_unreadable_key_is_named(void)
{
	const struct lab_path paths[] = { lab_path("good", ".pem"),
		lab_path("good", ".key") };
	const struct tls_settings s = lab_settings(paths, 1);
	struct lab_faults faults;

	on_open = refuse_keys;
	CHECK(load(&s, &faults) == -EINVAL);
	on_open = NULL;
	check_fault(&faults, 0, "tls-key", paths[1].text, "Permission denied");
}

static int replace_key(const char *path)
{
	const struct lab_path fresh = lab_path("other", ".key");
	const struct lab_path live = lab_path("live", ".key");

	/* At the second opening of the certificate its key has followed. */
	if (strcmp(path, lab_path("live", ".pem").text) == 0 && ++n_opened == 2)
		REQUIRE(unlink(live.text) == 0 && link(fresh.text, live.text) == 0);
	return 0;
}

static void test_a_half_replaced_pair_is_read_once_more(void)
{
	const struct lab_path paths[] = { lab_path("live", ".pem"),
		lab_path("live", ".key") };
	const struct tls_settings s = lab_settings(paths, 1);
	struct lab_faults faults;

	REQUIRE(link(lab_path("other", ".pem").text, paths[0].text) == 0);
	REQUIRE(link(lab_path("good", ".key").text, paths[1].text) == 0);
	n_opened = 0;
	on_open = replace_key;
	CHECK(load(&s, &faults) == 0);
	on_open = NULL;
	CHECK(faults.n == 0);
	CHECK(n_opened == 2);
}

static void test_one_good_pair_is_enough(void)
{
	const struct lab_path paths[] = { lab_path("good", ".pem"),
		lab_path("absent", ".key"), lab_path("other", ".pem"),
		lab_path("other", ".key") };
	const struct tls_settings s = lab_settings(paths, 2);
	struct lab_faults faults;

	CHECK(load(&s, &faults) == 0);
	CHECK(faults.n == 1);
	check_fault(&faults, 0, "tls-key", paths[1].text, "No such file");
}

static void test_no_pair_at_all_is_a_fault(void)
{
	const struct tls_settings s = lab_settings(NULL, 0);
	struct lab_faults faults;

	CHECK(load(&s, &faults) == -EINVAL);
	check_fault(&faults, 0, "tls-certificate", NULL, "is not set");
}

static void test_all_faults_are_heard_at_once(void)
{
	const struct lab_path paths[] = { lab_path("good", ".pem"),
		lab_path("absent", ".key"), lab_path("absent", ".pem"),
		lab_path("other", ".key") };
	const struct lab_path tickets = lab_path("absent", ".tickets");
	struct tls_settings s = lab_settings(paths, 2);
	struct lab_faults faults;

	s.priority = "NORMAL:+NONSENSE";
	s.tickets = tickets.text;
	CHECK(load(&s, &faults) == -EINVAL);
	CHECK(faults.n == 4);
	CHECK(check(&s, &faults) == 4);
}

struct leaf_case {
	const char *name;
	const char *hostname;
	const char *what; /* NULL: nothing is wrong */
};

static void test_expired_and_misnamed_ones_are_used_and_named(void)
{
	static const struct leaf_case cases[] = {
		{ "good", NULL, NULL },
		{ "good", "mail.example", NULL },
		{ "good", "MAIL.example", NULL },
		{ "wild", "mx1.mail.example", NULL },
		{ "address", "[192.0.2.25]", NULL },
		{ "address", "[IPv6:2001:db8::25]", NULL },
		{ "expired", "mail.example", "expired on " },
		{ "early", "mail.example", "is not valid before " },
		{ "good", "www.example", "does not cover hostname www.example" },
		{ "address", "[192.0.2.26]", "does not cover hostname [192.0.2.26]" },
		{ "wild", "a.mx1.mail.example",
			"does not cover hostname a.mx1.mail.example" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const struct lab_path paths[] = { lab_path(cases[i].name, ".pem"),
			lab_path(cases[i].name, ".key") };
		struct tls_settings s = lab_settings(paths, 1);
		struct lab_faults faults;

		s.hostname = cases[i].hostname;
		CHECK(load(&s, &faults) == 0);
		CHECK(faults.n == (cases[i].what != NULL));
		if (cases[i].what)
			check_fault(&faults, 0, "tls-certificate", paths[0].text,
				cases[i].what);
		CHECK(check(&s, &faults) == (cases[i].what != NULL));
	}
}

static void test_hostname_needs_one_pair_of_several(void)
{
	const struct lab_path paths[] = { lab_path("wild", ".pem"),
		lab_path("wild", ".key"), lab_path("good", ".pem"),
		lab_path("good", ".key") };
	struct tls_settings s = lab_settings(paths, 2);
	struct lab_faults faults;

	s.hostname = "mail.example";
	CHECK(load(&s, &faults) == 0 && faults.n == 0);
	s.hostname = "www.example.org";
	CHECK(load(&s, &faults) == 0 && faults.n == 1);
}

static void test_a_key_open_to_everyone_is_named_by_check_alone(void)
{
	const struct lab_path paths[] = { lab_path("good", ".pem"),
		lab_path("good", ".key") };
	const struct tls_settings s = lab_settings(paths, 1);
	struct lab_faults faults;

	REQUIRE(chmod(paths[1].text, 0644) == 0);
	CHECK(load(&s, &faults) == 0 && faults.n == 0);
	CHECK(check(&s, &faults) == 1);
	check_fault(&faults, 0, "tls-key", paths[1].text, "is open to everyone");
	REQUIRE(chmod(paths[1].text, 0640) == 0);
	CHECK(check(&s, &faults) == 0);
	REQUIRE(chmod(paths[1].text, 0600) == 0);
}

static void test_priority_strings_say_where_they_are_wrong(void)
{
	static const struct {
		const char *priority;
		const char *what; /* NULL: no fault */
	} cases[] = {
		{ TLS_PRIORITY_DEFAULT, NULL },
		{ "NORMAL", NULL },
		{ "NORMAL:-VERS-NONSENSE",
			"GnuTLS stops at position 8, \"-VERS-NONSENSE\"" },
		{ "NONSENSE", "GnuTLS stops at position 1, \"NONSENSE\"" },
		{ "", "leaves nothing to offer" },
		{ "NORMAL:-VERS-ALL", "leaves nothing to offer" },
	};
	const struct lab_path paths[] = { lab_path("good", ".pem"),
		lab_path("good", ".key") };

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct tls_settings s = lab_settings(paths, 1);
		struct lab_faults faults;

		s.priority = cases[i].priority;
		CHECK(load(&s, &faults) == (cases[i].what ? -EINVAL : 0));
		CHECK(faults.n == (cases[i].what != NULL));
		if (cases[i].what)
			check_fault(&faults, 0, "tls-priority", NULL, cases[i].what);
		/* the same of the string alone, which needs no certificate */
		s.n_pairs = 0;
		CHECK(check_priority(&s, &faults) == (cases[i].what != NULL));
		if (cases[i].what)
			check_fault(&faults, 0, "tls-priority", NULL, cases[i].what);
	}
}

/* Keys: "good" is ECDSA, "rsa" RSA, which without a signature serves RSA key exchange. */
static void test_a_key_without_a_signature_is_a_fault(void)
{
	static const struct {
		const char *pair, *priority, *key; /* key NULL: no fault */
	} cases[] = {
		{ "good", "NORMAL", NULL },
		{ "good", "NORMAL:-SIGN-ALL:+SIGN-RSA-SHA256", "EC/ECDSA" },
		{ "good", "NORMAL:-SIGN-ALL:+SIGN-ECDSA-SHA256", NULL },
		{ "rsa", "NORMAL:-SIGN-ALL:+SIGN-ECDSA-SHA256:-RSA", "RSA" },
		{ "rsa", "NORMAL:-SIGN-ALL:+SIGN-ECDSA-SHA256:+RSA", NULL },
		{ "rsa", "NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:-RSA", NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const struct lab_path paths[] = { lab_path(cases[i].pair, ".pem"),
			lab_path(cases[i].pair, ".key") };
		struct tls_settings s = lab_settings(paths, 1);
		struct lab_faults faults;
		char what[TLS_FAULT_TEXT];

		s.priority = cases[i].priority;
		CHECK(check_priority(&s, &faults) == (cases[i].key != NULL));
		CHECK(check(&s, &faults) == (cases[i].key != NULL));
		if (!cases[i].key)
			continue;
		snprintf(what, sizeof(what), "allows no signature of a key of type %s,",
			cases[i].key);
		check_fault(&faults, 0, "tls-priority", NULL, what);
		CHECK(strstr(faults.text[0], paths[0].text));
	}
}

static void test_bad_ticket_keys_cost_only_the_tickets(void)
{
	static const struct {
		size_t n;
		char fill;
		mode_t mode;
		const char *what; /* NULL: no fault */
	} cases[] = {
		{ TLS_TICKET_KEY, 'k', 0600, NULL },
		{ TLS_TICKET_KEY, 'k', 0400, NULL },
		{ TLS_TICKET_KEY, '\0', 0600, "is all zeros" },
		{ 0, 'k', 0600, "has 0 octets, not 64" },
		{ TLS_TICKET_KEY - 1, 'k', 0600, "has 63 octets, not 64" },
		{ TLS_TICKET_KEY + 1, 'k', 0600, "has 65 octets, not 64" },
		{ TLS_TICKET_KEY, 'k', 0640, "is open to group or others" },
		{ TLS_TICKET_KEY, 'k', 0604, "is open to group or others" },
		{ TLS_TICKET_KEY, 'k', 0620, "is open to group or others" },
	};
	const struct lab_path paths[] = { lab_path("good", ".pem"),
		lab_path("good", ".key") };
	const struct lab_path tickets = lab_path("tickets", "");
	struct tls_settings s = lab_settings(paths, 1);
	char key[TLS_TICKET_KEY + 1];
	struct lab_faults faults;

	s.tickets = tickets.text;
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		memset(key, cases[i].fill, sizeof(key));
		lab_write(tickets.text, key, cases[i].n, cases[i].mode);
		CHECK(load(&s, &faults) == 0);
		CHECK(faults.n == (cases[i].what != NULL));
		if (cases[i].what)
			check_fault(
				&faults, 0, "tls-tickets", tickets.text, cases[i].what);
	}
}

/*
 * systemd hands credentials over by an access control list, whose mask looks like
 * group's right.
 */
static void test_an_access_control_list_is_not_taken_for_group(void)
{
	/* version 2; user::r--, user:1:r--, group::---, mask::r--, other::--- */
	static const unsigned char list[] = "\2\0\0\0"
					    "\1\0\4\0\377\377\377\377"
					    "\2\0\4\0\1\0\0\0"
					    "\4\0\0\0\377\377\377\377"
					    "\20\0\4\0\377\377\377\377"
					    "\40\0\0\0\377\377\377\377";
	const struct lab_path paths[] = { lab_path("good", ".pem"),
		lab_path("good", ".key") };
	const struct lab_path tickets = lab_path("tickets-acl", "");
	struct tls_settings s = lab_settings(paths, 1);
	char key[TLS_TICKET_KEY];
	struct lab_faults faults;
	struct stat st;

	memset(key, 'k', sizeof(key));
	lab_write(tickets.text, key, sizeof(key), 0400);
	if (setxattr(tickets.text, "system.posix_acl_access", list, sizeof(list) - 1, 0) <
		0) {
		fprintf(stderr, "# no access control lists here: %s\n", strerror(errno));
		return;
	}
	REQUIRE(stat(tickets.text, &st) == 0 && (st.st_mode & S_IRGRP));
	s.tickets = tickets.text;
	CHECK(load(&s, &faults) == 0 && faults.n == 0);
}

static void copy_part(const char *from, const char *to, size_t n)
{
	char text[4096];
	FILE *file = fopen(lab_path(from, "").text, "re");

	REQUIRE(file != NULL && n <= sizeof(text) && fread(text, 1, n, file) == n);
	fclose(file);
	lab_write(lab_path(to, "").text, text, n, 0600);
}

struct heard {
	struct tls_description list[TLS_PAIR_MAX];
	size_t n;
};

static void hear_description(void *ctx, const struct tls_description *description)
{
	struct heard *heard = ctx;

	REQUIRE(heard->n < TLS_PAIR_MAX);
	heard->list[heard->n++] = *description;
}

/* The keys may be out of reach, and files that hold no certificate are left out. */
static void test_certificates_describe_themselves(void)
{
	const struct lab_path paths[] = {
		lab_path("good", ".pem"),
		lab_path("good", ".key"),
		lab_path("torn.pem", ""),
		lab_path("good", ".key"),
		lab_path("absent", ""),
		lab_path("good", ".key"),
		lab_path("fifo", ""),
		lab_path("good", ".key"),
		lab_path("rsa", ".pem"),
		lab_path("absent", ""),
		lab_path("two", ".pem"),
		lab_path("two", ".key"),
	};
	struct tls_settings s = lab_settings(paths, TEST_COUNT(paths) / 2);
	static struct heard heard;

	s.hostname = "b.example";
	on_open = refuse_keys;
	lab_api->describe(&s, hear_description, &heard);
	on_open = NULL;
	REQUIRE(heard.n == 3);
	CHECK_SPAN(span_of(heard.list[0].file), paths[0].text);
	CHECK_SPAN(span_of(heard.list[0].subject), "CN=good");
	CHECK_SPAN(span_of(heard.list[0].names), "mail.example");
	CHECK_SPAN(span_of(heard.list[0].key), "ECDSA 256");
	CHECK(heard.list[0].last - heard.list[0].first == 2 * DAY);
	CHECK(heard.list[0].misnamed && heard.list[0].self_signed);
	CHECK_SPAN(span_of(heard.list[1].key), "RSA 2048");
	CHECK_SPAN(span_of(heard.list[2].names), "a.example, b.example");
	CHECK(!heard.list[2].misnamed);
}

static void make_encrypted(void)
{
	gnutls_x509_privkey_t key;
	gnutls_datum_t pem;

	REQUIRE(gnutls_x509_privkey_init(&key) == 0);
	REQUIRE(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
	REQUIRE(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, "secret",
			GNUTLS_PKCS_PBES2_AES_128, &pem) == 0);
	lab_write(lab_path("secret", ".key").text, pem.data, pem.size, 0600);
	gnutls_free(pem.data);
	gnutls_x509_privkey_deinit(key);
}

static void make_files(void)
{
	static const struct lab_certificate certificates[] = {
		{ "good", GNUTLS_PK_ECDSA, { "mail.example" }, -DAY, DAY },
		{ "other", GNUTLS_PK_ECDSA, { "mail.example" }, -DAY, DAY },
		{ "rsa", GNUTLS_PK_RSA, { "mail.example" }, -DAY, DAY },
		{ "wild", GNUTLS_PK_ECDSA, { "*.mail.example" }, -DAY, DAY },
		{ "address", GNUTLS_PK_ECDSA, { "192.0.2.25", "2001:db8::25" }, -DAY,
			DAY },
		{ "expired", GNUTLS_PK_ECDSA, { "mail.example" }, -2 * DAY, -DAY },
		{ "early", GNUTLS_PK_ECDSA, { "mail.example" }, DAY, 2 * DAY },
		{ "two", GNUTLS_PK_ECDSA, { "a.example", "b.example" }, -DAY, DAY },
	};
	static char large[256 * 1024 + 1];
	char command[4 * LAB_PATH];

	for (size_t i = 0; i < TEST_COUNT(certificates); i++)
		lab_make(&certificates[i]);
	make_encrypted();
	lab_write(lab_path("empty", "").text, "", 0, 0600);
	lab_write(lab_path("large", "").text, large, sizeof(large), 0600);
	copy_part("good.pem", "torn.pem", 200);
	copy_part("good.key", "torn.key", 100);
	REQUIRE(mkfifo(lab_path("fifo", "").text, 0600) == 0);
	snprintf(command, sizeof(command),
		"cat %s/other.pem %s/good.pem >%s/reversed.pem", lab_dir, lab_dir,
		lab_dir);
	REQUIRE(system(command) == 0);
}

int main(int argc, char *argv[])
{
	static const struct test tests[] = {
		TEST(test_unusable_pairs_are_named),
		TEST(test_an_unreadable_key_is_named),
		TEST(test_a_half_replaced_pair_is_read_once_more),
		TEST(test_one_good_pair_is_enough),
		TEST(test_no_pair_at_all_is_a_fault),
		TEST(test_all_faults_are_heard_at_once),
		TEST(test_expired_and_misnamed_ones_are_used_and_named),
		TEST(test_hostname_needs_one_pair_of_several),
		TEST(test_a_key_open_to_everyone_is_named_by_check_alone),
		TEST(test_priority_strings_say_where_they_are_wrong),
		TEST(test_a_key_without_a_signature_is_a_fault),
		TEST(test_bad_ticket_keys_cost_only_the_tickets),
		TEST(test_an_access_control_list_is_not_taken_for_group),
		TEST(test_certificates_describe_themselves),
	};
	int r;

	lab_open(argc, argv);
	make_files();
	r = test_main(tests, TEST_COUNT(tests));
	lab_close();
	return r;
}
