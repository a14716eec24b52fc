/* SPDX-License-Identifier: ISC */
/* proto/dns: questions as RFC 1035 has them, and answers that are taken, or are none. */
#include "proto/dns.h"
#include "unit/test.h"

#define QUESTION_9                                                                       \
	"\x01"                                                                           \
	"9\x03"                                                                          \
	"113\x01"                                                                        \
	"0\x03"                                                                          \
	"203\x07in-addr\x04"                                                             \
	"arpa\0"
#define NAME_9 "9.113.0.203.in-addr.arpa"
#define PTR "\0\x0c\0\x01"
#define A "\0\x01\0\x01"
#define OWNER "\xc0\x0c" /* a pointer to the question */
#define TTL "\0\0\x0e\x10"
#define HEAD(answers) "\x12\x34\x81\x80\0\x01\0" answers "\0\0\0\0"
#define MAIL_EXAMPLE                                                                     \
	"\x04mail\x07"                                                                   \
	"example\0"
#define LETTERS_61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LABEL_63 "\x3f" LETTERS_61 "aa"
#define NAME_253 LETTERS_61 "aa." LETTERS_61 "aa." LETTERS_61 "aa." LETTERS_61
#define EXACTLY(literal) ((struct span){ (literal), sizeof(literal) - 1 })

static struct dns_question question(const char *name, enum dns_type type)
{
	struct dns_question q = { .id = 0x1234, .type = type };

	snprintf(q.name.text, sizeof(q.name.text), "%s", name);
	return q;
}

static void test_the_name_of_an_address_is_reversed(void)
{
	static const struct {
		const char *ip, *name;
	} cases[] = {
		{ "203.0.113.9", NAME_9 },
		{ "::ffff:203.0.113.9", NAME_9 },
		{ "2001:db8::25",
			"5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
			"ip6.arpa" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct dns_name name;
		struct ip ip;
		REQUIRE(ip_parse(span_of(cases[i].ip), &ip));
		dns_reverse_name(&name, &ip);
		CHECK_SPAN(span_of(name.text), cases[i].name);
	}
}

static void test_a_question_asks_for_recursion_and_takes_1232_octets(void)
{
	static const char want[] = "\x12\x34\x01\0\0\x01\0\0\0\0\0\x01" QUESTION_9 PTR
				   "\0\0\x29\x04\xd0\0\0\0\0\0\0";
	struct dns_question q = question(NAME_9, DNS_PTR), longest = q;
	char octets[DNS_QUERY_MAX];
	struct buf b = BUF(octets);

	dns_put_question(&b, &q);
	CHECK(span_eq(buf_span(&b), EXACTLY(want)));
	for (size_t i = 0; i < DNS_NAME_MAX; i++)
		longest.name.text[i] = i % 64 == 63 ? '.' : 'a';
	longest.name.text[DNS_NAME_MAX] = '\0';
	b = (struct buf)BUF(octets);
	dns_put_question(&b, &longest);
	CHECK(!b.overflow);
}

/* One PTR record with these octets as data. */
#define ONE(n, data) HEAD("\x01") QUESTION_9 PTR OWNER PTR TTL "\0" n data

static void test_names_of_an_address_are_taken(void)
{
	static const struct {
		const char *what;
		struct span answer;
		enum dns_result result;
		const char *names[DNS_NAMES_MAX];
	} cases[] = {
		{ "one", EXACTLY(ONE("\x0e", MAIL_EXAMPLE)), DNS_FOUND,
			{ "mail.example" } },
		{ "capitals",
			EXACTLY(ONE("\x0e", "\x04MAIL\x07"
					    "Example\0")),
			DNS_FOUND, { "mail.example" } },
		{ "compressed", EXACTLY(ONE("\x07", "\x04mail\xc0\x0c")), DNS_FOUND,
			{ "mail." NAME_9 } },
		{ "underscore and digits",
			EXACTLY(ONE("\x09", "\x07"
					    "a_1-b_2\0")),
			DNS_FOUND, { "a_1-b_2" } },
		{ "no such name",
			EXACTLY("\x12\x34\x81\x83\0\x01\0\0\0\0\0\0" QUESTION_9 PTR),
			DNS_ABSENT, { NULL } },
		{ "no record", EXACTLY(HEAD("\0") QUESTION_9 PTR), DNS_ABSENT, { NULL } },
		{ "a failure",
			EXACTLY("\x12\x34\x81\x82\0\x01\0\0\0\0\0\0" QUESTION_9 PTR),
			DNS_FAILED, { NULL } },
		{ "refused", EXACTLY("\x12\x34\x81\x85\0\x01\0\0\0\0\0\0" QUESTION_9 PTR),
			DNS_FAILED, { NULL } },
		{ "another question",
			EXACTLY(HEAD("\0") "\x01"
					   "8\x03"
					   "113\x01"
					   "0\x03"
					   "203\x07in-addr\x04"
					   "arpa\0" PTR),
			DNS_OTHER, { NULL } },
		{ "another type", EXACTLY(HEAD("\0") QUESTION_9 A), DNS_OTHER, { NULL } },
		{ "another number",
			EXACTLY("\x12\x35\x81\x80\0\x01\0\0\0\0\0\0" QUESTION_9 PTR),
			DNS_OTHER, { NULL } },
		{ "a question",
			EXACTLY("\x12\x34\x01\0\0\x01\0\0\0\0\0\0" QUESTION_9 PTR),
			DNS_OTHER, { NULL } },
		{ "two questions",
			EXACTLY("\x12\x34\x81\x80\0\x02\0\0\0\0\0\0" QUESTION_9 PTR),
			DNS_OTHER, { NULL } },
		{ "nothing", EXACTLY(""), DNS_OTHER, { NULL } },
		{ "cut in the question",
			EXACTLY(HEAD("\0") "\x01"
					   "9\x03"
					   "113"),
			DNS_OTHER, { NULL } },
		{ "cut in a record",
			EXACTLY(HEAD("\x02") QUESTION_9 PTR OWNER PTR TTL
				"\0\x0e" MAIL_EXAMPLE OWNER PTR TTL "\0\x0e\x04ma"),
			DNS_FOUND, { "mail.example" } },
		{ "data longer than the message", EXACTLY(ONE("\xff", MAIL_EXAMPLE)),
			DNS_ABSENT, { NULL } },
		{ "data shorter than the name", EXACTLY(ONE("\x05", MAIL_EXAMPLE)),
			DNS_ABSENT, { NULL } },
		{ "data longer than the name", EXACTLY(ONE("\x0f", MAIL_EXAMPLE "x")),
			DNS_ABSENT, { NULL } },
		{ "a circle", EXACTLY(ONE("\x02", "\xc0\x36")), DNS_ABSENT, { NULL } },
		{ "a pointer to a pointer", EXACTLY(ONE("\x02", "\xc0\x2a")), DNS_FOUND,
			{ NAME_9 } },
		{ "a pointer out of it", EXACTLY(ONE("\x02", "\xff\xff")), DNS_ABSENT,
			{ NULL } },
		{ "a label of a reserved kind", EXACTLY(ONE("\x02", "\x80\0")),
			DNS_ABSENT, { NULL } },
		{ "a label out of it",
			EXACTLY(ONE("\x03", "\x3f"
					    "ab")),
			DNS_ABSENT, { NULL } },
		{ "a brace",
			EXACTLY(ONE("\x05", "\x03"
					    "a{b\0")),
			DNS_ABSENT, { NULL } },
		{ "the longest name",
			EXACTLY(ONE("\xff",
				LABEL_63 LABEL_63 LABEL_63 "\x3d" LETTERS_61 "\0")),
			DNS_FOUND, { NAME_253 } },
		{ "an octet more",
			EXACTLY(HEAD("\x01") QUESTION_9 PTR OWNER PTR TTL
				"\1\0" LABEL_63 LABEL_63 LABEL_63 "\x3e" LETTERS_61
				"a\0"),
			DNS_ABSENT, { NULL } },
		{ "a question about no name", EXACTLY(HEAD("\0") "\x01 \0" PTR),
			DNS_OTHER, { NULL } },
		{ "a question of another class",
			EXACTLY(HEAD("\0") QUESTION_9 "\0\x0c\0\x03"), DNS_OTHER,
			{ NULL } },
		{ "more records than there are",
			EXACTLY("\x12\x34\x81\x80\0\x01\xff\xff\0\0\0\0" QUESTION_9 PTR),
			DNS_ABSENT, { NULL } },
		{ "cut in the owner", EXACTLY(HEAD("\x01") QUESTION_9 PTR "\x04ma"),
			DNS_ABSENT, { NULL } },
		{ "a record of no name",
			EXACTLY(HEAD("\x01") QUESTION_9 PTR "\x01 \0" PTR TTL
							    "\0\x0e" MAIL_EXAMPLE),
			DNS_ABSENT, { NULL } },
		{ "an alias of no name",
			EXACTLY(HEAD("\x01") QUESTION_9 PTR "\x01 \0\0\x05\0\x01" TTL
							    "\0\x03\x01x\0"),
			DNS_ABSENT, { NULL } },
		{ "an alias of another class",
			EXACTLY(HEAD("\x02") QUESTION_9 PTR OWNER
				"\0\x05\0\x03" TTL "\0\x03\x01x\0"
				"\x01x\0" PTR TTL "\0\x0e" MAIL_EXAMPLE),
			DNS_ABSENT, { NULL } },
		{ "an alias that is no name",
			EXACTLY(HEAD("\x02") QUESTION_9 PTR OWNER
				"\0\x05\0\x01" TTL "\0\x03\x01 \0" OWNER PTR TTL
				"\0\x0e" MAIL_EXAMPLE),
			DNS_FOUND, { "mail.example" } },
		{ "a blank",
			EXACTLY(ONE("\x05", "\x03"
					    "a b\0")),
			DNS_ABSENT, { NULL } },
		{ "a line end",
			EXACTLY(ONE("\x05", "\x03"
					    "a\nb\0")),
			DNS_ABSENT, { NULL } },
		{ "a NUL",
			EXACTLY(ONE("\x05", "\x03"
					    "a\0b\0")),
			DNS_ABSENT, { NULL } },
		{ "a bracket",
			EXACTLY(ONE("\x05", "\x03"
					    "a]b\0")),
			DNS_ABSENT, { NULL } },
		{ "a dot in a label",
			EXACTLY(ONE("\x05", "\x03"
					    "a.b\0")),
			DNS_ABSENT, { NULL } },
		{ "not ASCII", EXACTLY(ONE("\x04", "\x02\xc3\xa4\0")), DNS_ABSENT,
			{ NULL } },
		{ "the root", EXACTLY(ONE("\x01", "\0")), DNS_ABSENT, { NULL } },
		{ "an address",
			EXACTLY(ONE("\x09", "\x03"
					    "127\x01"
					    "0\x01"
					    "1\0")),
			DNS_ABSENT, { NULL } },
		{ "a record of another name",
			EXACTLY(HEAD("\x01") QUESTION_9 PTR "\x01x\0" PTR TTL
							    "\0\x0e" MAIL_EXAMPLE),
			DNS_ABSENT, { NULL } },
		{ "a record of another class",
			EXACTLY(HEAD("\x01") QUESTION_9 PTR OWNER "\0\x0c\0\x03" TTL
								  "\0\x0e" MAIL_EXAMPLE),
			DNS_ABSENT, { NULL } },
		{ "behind an alias",
			EXACTLY(HEAD("\x02") QUESTION_9 PTR OWNER
				"\0\x05\0\x01" TTL "\0\x03\x01x\0"
				"\x01x\0" PTR TTL "\0\x0e" MAIL_EXAMPLE),
			DNS_FOUND, { "mail.example" } },
		{ "a slash",
			EXACTLY(ONE("\x05", "\x03"
					    "a/b\0")),
			DNS_ABSENT, { NULL } },
		{ "in front of its alias",
			EXACTLY(HEAD("\x02") QUESTION_9 PTR
				"\x01x\0" PTR TTL "\0\x0e" MAIL_EXAMPLE OWNER
				"\0\x05\0\x01" TTL "\0\x03\x01x\0"),
			DNS_FOUND, { "mail.example" } },
		{ "an alias of itself",
			EXACTLY(HEAD("\x01") QUESTION_9 PTR OWNER "\0\x05\0\x01" TTL
								  "\0\x02" OWNER),
			DNS_ABSENT, { NULL } },
		/* whoever reads these takes them for addresses */
		{ "names of digits and dots alone",
			EXACTLY(HEAD("\x02") QUESTION_9 PTR OWNER PTR TTL
				"\0\x04\x02"
				"10\0" OWNER PTR TTL "\0\x06\x02"
				"10\x01"
				"2\0"),
			DNS_ABSENT, { NULL } },
		{ "names with digits",
			EXACTLY(HEAD("\x02") QUESTION_9 PTR OWNER PTR TTL
				"\0\x05\x03"
				"1-2\0" OWNER PTR TTL "\0\x05\x03"
				"1a2\0"),
			DNS_FOUND, { "1-2", "1a2" } },
		{ "several",
			EXACTLY(HEAD("\x05") QUESTION_9 PTR OWNER PTR TTL
				"\0\x03\x01"
				"a\0" OWNER PTR TTL "\0\x03\x01"
				"b\0" OWNER PTR TTL "\0\x03\x01 \0" OWNER PTR TTL
				"\0\x03\x01"
				"c\0" OWNER PTR TTL "\0\x03\x01"
				"d\0"),
			DNS_FOUND, { "a", "b", "c", "d" } },
	};
	struct dns_question q = question(NAME_9, DNS_PTR);

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct dns_name names[DNS_NAMES_MAX];
		size_t n = 99, want = 0;
		bool fine = CHECK(dns_take_names(cases[i].answer, &q, names, &n) ==
				  cases[i].result);
		while (want < DNS_NAMES_MAX && cases[i].names[want])
			want++;
		fine &= CHECK(n == want);
		for (size_t k = 0; k < n && k < want; k++)
			fine &= CHECK_SPAN(span_of(names[k].text), cases[i].names[k]);
		if (!fine)
			fprintf(stderr, "\t%s\n", cases[i].what);
	}
}

/* RFC 2317 4: an alias of a network that is smaller than a zone has a slash. */
static void test_an_alias_may_have_a_slash(void)
{
	struct span answer = EXACTLY(
		HEAD("\x02") QUESTION_9 PTR OWNER "\0\x05\0\x01" TTL "\0\x06\x04"
						  "0/25\0"
						  "\x04"
						  "0/25\0" PTR TTL "\0\x0e" MAIL_EXAMPLE);
	struct dns_question q = question(NAME_9, DNS_PTR);
	struct dns_name names[DNS_NAMES_MAX];
	size_t n;

	CHECK(dns_take_names(answer, &q, names, &n) == DNS_FOUND);
	CHECK(n == 1 && strcmp(names[0].text, "mail.example") == 0);
}

static void test_an_address_is_among_those_of_the_name(void)
{
	static const char fine[] = HEAD("\x02") MAIL_EXAMPLE A OWNER A TTL
		"\0\x04\xcb\0\x71\x08" OWNER A TTL "\0\x04\xcb\0\x71\x09";
	static const char odd[] =
		HEAD("\x01") MAIL_EXAMPLE A OWNER A TTL "\0\x03\xcb\0\x71";
	static const char fine6[] = HEAD("\x01") MAIL_EXAMPLE
		"\0\x1c\0\x01" OWNER "\0\x1c\0\x01" TTL
		"\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09";
	/* an address of the other family in a record of this one */
	static const char long_a[] = HEAD("\x01") MAIL_EXAMPLE A OWNER A TTL
		"\0\x10\xcb\0\x71\x0a\0\0\0\0\0\0\0\0\0\0\0\x09";
	struct dns_question q = question("mail.example", DNS_A);
	struct ip ip;

	REQUIRE(ip_parse(SPAN("203.0.113.9"), &ip));
	CHECK(dns_take_address(EXACTLY(fine), &q, &ip) == DNS_FOUND);
	CHECK(dns_take_address(EXACTLY(odd), &q, &ip) == DNS_ABSENT);
	REQUIRE(ip_parse(SPAN("203.0.113.10"), &ip));
	CHECK(dns_take_address(EXACTLY(fine), &q, &ip) == DNS_ABSENT);
	CHECK(dns_take_address(EXACTLY(long_a), &q, &ip) == DNS_ABSENT);
	q = question("mail.example", DNS_AAAA);
	CHECK(dns_take_address(EXACTLY(fine), &q, &ip) == DNS_OTHER);
	REQUIRE(ip_parse(SPAN("2001:db8::9"), &ip));
	CHECK(dns_take_address(EXACTLY(fine6), &q, &ip) == DNS_FOUND);
}

static void test_a_host_name_has_plain_labels(void)
{
	static const struct {
		const char *name;
		bool fine;
	} cases[] = {
		{ "mail.example.net", true },
		{ "a", true },
		{ "a_b-c.1", true },
		{ "1.2.x", true },
		{ "192.0.2.1", false },
		{ "1", false },
		{ "", false },
		{ ".", false },
		{ "a.", false },
		{ ".a", false },
		{ "a..b", false },
		{ "a b", false },
		{ "a]", false },
		{ "a\xc3\xa4", false },
		{ "a{b", false },
		{ LETTERS_61 "aa", true },
		{ LETTERS_61 "aaa", false },
		{ NAME_253, true },
		{ NAME_253 "a", false },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		CHECK(dns_is_host_name(span_of(cases[i].name)) == cases[i].fine);
}

static void test_name_servers_are_those_of_the_file(void)
{
	static const struct {
		const char *file;
		size_t n;
		const char *first;
	} cases[] = {
		{ "", 1, "127.0.0.1" },
		{ "search example\noptions edns0\n", 1, "127.0.0.1" },
		{ "nameserver 192.0.2.1\n", 1, "192.0.2.1" },
		{ " nameserver\t2001:db8::1  # why\nnameserver 192.0.2.2", 2,
			"2001:db8::1" },
		{ "# nameserver 192.0.2.1\n;nameserver 192.0.2.1\nnameserver 192.0.2.3",
			1, "192.0.2.3" },
		{ "nameserver fe80::1%eth0\nnameserver x\nnameserver\nnameserver "
		  "192.0.2.4\n",
			1, "192.0.2.4" },
		{ "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n"
		  "nameserver 192.0.2.4\n",
			3, "192.0.2.1" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct ip servers[DNS_SERVERS_MAX];
		char text[IP_TEXT_MAX];
		struct buf b = BUF(text);
		CHECK(dns_take_servers(span_of(cases[i].file), servers) == cases[i].n);
		ip_put(&b, &servers[0]);
		CHECK_SPAN(buf_span(&b), cases[i].first);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_the_name_of_an_address_is_reversed),
		TEST(test_a_question_asks_for_recursion_and_takes_1232_octets),
		TEST(test_names_of_an_address_are_taken),
		TEST(test_an_alias_may_have_a_slash),
		TEST(test_an_address_is_among_those_of_the_name),
		TEST(test_a_host_name_has_plain_labels),
		TEST(test_name_servers_are_those_of_the_file),
	};

	return test_main(tests, TEST_COUNT(tests));
}
