/* SPDX-License-Identifier: ISC */
/* proto/address: RFC 5321 4.1.2 and 4.1.3, RFC 6531 3.3, the standards' examples and hostile ones. */
#include "proto/address.h"
#include "unit/test.h"

#define TEN "abcdefghij"
#define FIFTY TEN TEN TEN TEN TEN
#define HUNDRED FIFTY FIFTY
#define LABELS "abcdefghi.abcdefghi.abcdefghi.abcdefghi.abcdefghi."

struct valid {
	const char *input;
	const char *text, *local, *domain;
	const char *rest;
	bool null, lenient;
};

static const struct valid valid[] = {
	/* RFC 5321 4.1.1.2, 4.1.1.3, D.1 */
	{ .input = "FROM:<>", .null = true },
	{ .input = "from:<>  SIZE=1", .null = true, .rest = "  SIZE=1" },
	{ .input = "FROM:<userx@y.foo.org>",
		.text = "userx@y.foo.org",
		.local = "userx",
		.domain = "y.foo.org" },
	{ .input = "FROM:<@hosta.int,@jkl.org:userc@d.bar.org>",
		.text = "userc@d.bar.org",
		.local = "userc",
		.domain = "d.bar.org" },
	{ .input = "FROM:<Smith@bar.com> BODY=8BITMIME",
		.text = "Smith@bar.com",
		.local = "Smith",
		.domain = "bar.com",
		.rest = " BODY=8BITMIME" },
	/* RFC 5321 4.1.1.3: Postmaster needs no domain, in any case */
	{ .input = "FROM:<Postmaster>", .text = "Postmaster", .local = "Postmaster" },
	{ .input = "FROM:<POSTMASTER>\tX",
		.text = "POSTMASTER",
		.local = "POSTMASTER",
		.rest = "\tX" },
	/* RFC 5321 4.1.3: literals */
	{ .input = "FROM:<a@[192.0.2.1]>",
		.text = "a@[192.0.2.1]",
		.local = "a",
		.domain = "[192.0.2.1]" },
	{ .input = "FROM:<a@[IPv6:2001:db8::1]>",
		.text = "a@[IPv6:2001:db8::1]",
		.local = "a",
		.domain = "[IPv6:2001:db8::1]" },
	{ .input = "FROM:<a@[ipv6:::ffff:192.0.2.1]>",
		.text = "a@[ipv6:::ffff:192.0.2.1]",
		.local = "a",
		.domain = "[ipv6:::ffff:192.0.2.1]" },
	{ .input = "FROM:<a@[x-tag:b!c]>",
		.text = "a@[x-tag:b!c]",
		.local = "a",
		.domain = "[x-tag:b!c]" },
	/* RFC 5321 4.1.2: quoted local-parts, atoms of every kind */
	{ .input = "FROM:<\"a b\"@c>",
		.text = "\"a b\"@c",
		.local = "\"a b\"",
		.domain = "c" },
	{ .input = "FROM:<\"\"@c>", .text = "\"\"@c", .local = "\"\"", .domain = "c" },
	{ .input = "FROM:<\"a\\\"b\\\\\"@c>",
		.text = "\"a\\\"b\\\\\"@c",
		.local = "\"a\\\"b\\\\\"",
		.domain = "c" },
	{ .input = "FROM:<\"a>b@c\"@d>",
		.text = "\"a>b@c\"@d",
		.local = "\"a>b@c\"",
		.domain = "d" },
	{ .input = "FROM:<!#$%&'*+-/=?^_`{|}~@c>",
		.text = "!#$%&'*+-/=?^_`{|}~@c",
		.local = "!#$%&'*+-/=?^_`{|}~",
		.domain = "c" },
	{ .input = "FROM:<first.last+tag@mail-1.example.org>",
		.text = "first.last+tag@mail-1.example.org",
		.local = "first.last+tag",
		.domain = "mail-1.example.org" },
	{ .input = "FROM:<a@under_score.example.org>",
		.text = "a@under_score.example.org",
		.local = "a",
		.domain = "under_score.example.org" },
	{ .input = "FROM:<a@1.2>", .text = "a@1.2", .local = "a", .domain = "1.2" },
	{ .input = "FROM:<a@xn--bcher-kva.example>",
		.text = "a@xn--bcher-kva.example",
		.local = "a",
		.domain = "xn--bcher-kva.example" },
	/* scanners: a blank in front, no angle brackets */
	{ .input = "FROM: <a@b>",
		.text = "a@b",
		.local = "a",
		.domain = "b",
		.lenient = true },
	{ .input = "FROM:   <>", .null = true, .lenient = true },
	{ .input = "FROM:a@b",
		.text = "a@b",
		.local = "a",
		.domain = "b",
		.lenient = true },
	{ .input = "FROM: a@b SIZE=1",
		.text = "a@b",
		.local = "a",
		.domain = "b",
		.rest = " SIZE=1",
		.lenient = true },
	{ .input = "FROM:postmaster",
		.text = "postmaster",
		.local = "postmaster",
		.lenient = true },
	/* phones: dots anywhere in the local part; a domain with its root */
	{ .input = "FROM:<a..b@c.d>",
		.text = "a..b@c.d",
		.local = "a..b",
		.domain = "c.d",
		.lenient = true },
	{ .input = "FROM:<ab.@c>",
		.text = "ab.@c",
		.local = "ab.",
		.domain = "c",
		.lenient = true },
	{ .input = "FROM:<..ab...c..@d> SIZE=1",
		.text = "..ab...c..@d",
		.local = "..ab...c..",
		.domain = "d",
		.rest = " SIZE=1",
		.lenient = true },
	{ .input = "FROM:<a@c.d.>",
		.text = "a@c.d.",
		.local = "a",
		.domain = "c.d",
		.lenient = true },
	{ .input = "FROM:\"a..\"@c. X",
		.text = "\"a..\"@c.",
		.local = "\"a..\"",
		.domain = "c",
		.rest = " X",
		.lenient = true },
	{ .input = "FROM:<\"a..b.\"@c>",
		.text = "\"a..b.\"@c",
		.local = "\"a..b.\"",
		.domain = "c" },
	/* the colon is missing, or has blanks beside it */
	{ .input = "from <a@b>",
		.text = "a@b",
		.local = "a",
		.domain = "b",
		.lenient = true },
	{ .input = "FROM\t a@b X",
		.text = "a@b",
		.local = "a",
		.domain = "b",
		.rest = " X",
		.lenient = true },
	{ .input = "FROM <>", .null = true, .lenient = true },
	{ .input = "FROM :<a@b>",
		.text = "a@b",
		.local = "a",
		.domain = "b",
		.lenient = true },
	{ .input = "FROM : \t<a@b>",
		.text = "a@b",
		.local = "a",
		.domain = "b",
		.lenient = true },
	/* RFC 5321 4.5.3.1.3: 256 octets, brackets included */
	{ .input = "FROM:<" HUNDRED "@" HUNDRED LABELS "ab>",
		.text = HUNDRED "@" HUNDRED LABELS "ab",
		.local = HUNDRED,
		.domain = HUNDRED LABELS "ab" },
};

static const struct span invalid[] = {
	{ "FROM:", 5 },
	{ "FROM: ", 6 },
	{ "FROM:<", 6 },
	{ "FROM:>", 6 },
	{ "FROM:< >", 8 },
	{ "FROM:< a@b>", 11 },
	{ "FROM:<a@b >", 11 },
	{ "FROM:<a@b", 9 },
	{ "FROM:a@b>", 9 },
	{ "FROM:<<a@b>>", 12 },
	{ "FROM:<a@b>SIZE=1", 16 },
	{ "FROM:<a@b>,<c@d>", 16 },
	{ "FROM:<>>", 8 },
	{ "FROM:<a>", 8 },
	{ "FROM:<@b>", 9 },
	{ "FROM:<a@>", 9 },
	{ "FROM:<a@b@c>", 12 },
	{ "FROM:<a@b..>", 12 },
	{ "FROM:<a@.>", 10 },
	{ "FROM:<a@[192.0.2.1].>", 21 },
	{ "FROM:<@a.:b@c>", 14 },
	{ "FROM:<a..b>", 11 },
	{ "FROM <a@b", 9 },
	{ "FROM  : ", 8 },
	{ "FROM::<a@b>", 11 },
	{ "FROM::", 6 },
	{ "FROM:<a@.b>", 11 },
	{ "FROM:<a@b..c>", 13 },
	{ "FROM:<a@-b>", 11 },
	{ "FROM:<a@b->", 11 },
	{ "FROM:<a@b/c>", 12 },
	{ "FROM:<a b@c>", 12 },
	{ "FROM:<a\\b@c>", 12 },
	{ "FROM:<a(b)@c>", 13 },
	{ "FROM:<\"a@b>", 11 },
	{ "FROM:<\"a\\\"@b>", 13 },
	{ "FROM:<\"a\"b@c>", 13 },
	{ "FROM:<\"a\tb\"@c>", 14 },
	{ "FROM:<a@[192.0.2.1>", 19 },
	{ "FROM:<a@[192.0.2.256]>", 22 },
	{ "FROM:<a@[192.0.2]>", 18 },
	{ "FROM:<a@[2001:db8::1>", 21 },
	{ "FROM:<a@[IPv6:]>", 16 },
	{ "FROM:<a@[IPv6:192.0.2.1]>", 25 },
	{ "FROM:<a@[IPv6:2001::db8::1]>", 28 },
	{ "FROM:<a@[IPv6:fe80::1%eth0]>", 28 },
	{ "FROM:<a@[]>", 11 },
	{ "FROM:<a@[tag]>", 14 },
	{ "FROM:<a@[tag:]>", 15 },
	{ "FROM:<a@[-:x]>", 14 },
	{ "FROM:<a@[tag:a[b]>", 18 },
	{ "FROM:<a@[tag:a\\b]>", 18 },
	{ "FROM:<a@[tag:a b]>", 18 },
	{ "FROM:<a@[tag:a\x7f]>", 17 },
	{ "FROM:<a@[", 9 },
	{ "FROM:<a@[IPv6:" FIFTY "]>", 66 },
	{ "FROM:<\"a\\", 9 },
	{ "FROM:<@a>", 9 },
	{ "FROM:<@a:>", 10 },
	{ "FROM:<@a,b@c>", 13 },
	{ "FROM:<@a,@b,c@d>", 16 },
	{ "FROM:<a@b\0>", 11 },
	{ "FROM:<a\0@b>", 11 },
	{ "FROM:<\"a\0\"@b>", 13 },
	{ "FROM:<a\n@b>", 11 },
	{ "FROM:<a@b>\r", 11 },
	{ "FROM:<\"a\r\nRCPT TO:<x@y>\"@b>", 28 },
	{ "FROM:<\"\xff\"@b>", 12 },
	/* malformed UTF-8: Latin-1, cut off, overlong "/" and ".", surrogate, above U+10FFFF */
	{ "FROM:<\xe4@b>", 10 },
	{ "FROM:<a@\xe4>", 10 },
	{ "FROM:<jos\xc3@b>", 13 },
	{ "FROM:<a@b\xc3>", 11 },
	{ "FROM:<a@b.\xc3", 11 },
	{ "FROM:<\"jos\xc3\"@b>", 15 },
	{ "FROM:<a\xc0\xaf@b>", 12 },
	{ "FROM:<a@b\xc0\xae"
	  "c>",
		13 },
	{ "FROM:<\xed\xa0\x80@b>", 12 },
	{ "FROM:<\xf4\x90\x80\x80@b>", 13 },
	{ "FROM:<a@\x80>", 10 },
	/* U+0080, U+0085 (next line), U+009F are control characters */
	{ "FROM:<a\xc2\x80@b>", 12 },
	{ "FROM:<a\xc2\x85@b>", 12 },
	{ "FROM:<a@b\xc2\x9f>", 12 },
	{ "FROM:<\"\xc2\x85\"@b>", 13 },
	/* quoted-pairSMTP = "\" %d32-126, as ever (RFC 6531 3.3) */
	{ "FROM:<\"\\é\"@b>", 14 },
	{ "FROM:<a@-é>", 12 },
	{ "FROM:<a@é->", 12 },
	{ "FROM:<a@é..b>", 14 },
	{ "FROM:<a@[é:x]>", 15 },
	{ "FROM:<a@[tag:é]>", 17 },
	{ "FROM:<é>", 9 },
	{ "FROM:<a@b\x7f>", 11 },
	{ "FROM:<\"\x7f\"@b>", 12 },
};

static struct span field(const char *text)
{
	return span_of(text ? text : "");
}

static void test_takes_what_the_standard_allows(void)
{
	for (size_t i = 0; i < TEST_COUNT(valid); i++) {
		const struct valid *v = &valid[i];
		struct span args = span_of(v->input);
		struct path path;
		if (!CHECK(path_take(&args, PATH_REVERSE, &path) == PATH_FINE)) {
			fprintf(stderr, "\t%s\n", v->input);
			continue;
		}
		CHECK(span_eq(path.text, field(v->text)));
		CHECK(span_eq(path.local, field(v->local)));
		CHECK(span_eq(path.domain, field(v->domain)));
		CHECK(span_eq(args, field(v->rest)));
		CHECK(path.null == v->null);
		CHECK(path.lenient == v->lenient);
	}
}

static void test_refuses_all_else_and_touches_nothing(void)
{
	for (size_t i = 0; i < TEST_COUNT(invalid); i++) {
		struct span args = invalid[i];
		struct path path = { .text = SPAN("untouched") };
		if (!CHECK(path_take(&args, PATH_REVERSE, &path) == PATH_SYNTAX))
			fprintf(stderr, "\t%s\n", invalid[i].p);
		CHECK(args.p == invalid[i].p && args.n == invalid[i].n);
		CHECK_SPAN(path.text, "untouched");
	}
}

static void test_wants_its_keyword(void)
{
	static const char *const table[] = { "", "FROM", "TO:<a@b>", "TO <a@b>",
		" FROM:<a@b>", "<a@b>", "FROM<a@b>", "FROM:TO", "FROMX <a@b>", ":<a@b>" };

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct span args = span_of(table[i]);
		struct path path;
		enum path_fault fault = path_take(&args, PATH_REVERSE, &path);
		CHECK(fault ==
			(strcmp(table[i], "FROM:TO") ? PATH_KEYWORD : PATH_SYNTAX));
		args = span_of(table[i]);
		if (i != 2 && i != 3)
			CHECK(path_take(&args, PATH_FORWARD, &path) == PATH_KEYWORD);
	}
}

struct forward {
	const char *input;
	const char *text, *domain; /* NULL: it is none */
	bool lenient;
};

/* Recipients are looked up, so they must have the syntax of the standard, except a dot after the domain. */
static void test_a_forward_path_has_its_dots_in_order(void)
{
	static const struct forward table[] = {
		{ .input = "TO:<a@b.c>", .text = "a@b.c", .domain = "b.c" },
		{ .input = "TO <a@b.c>",
			.text = "a@b.c",
			.domain = "b.c",
			.lenient = true },
		{ .input = "TO:<a@b.c.> X",
			.text = "a@b.c",
			.domain = "b.c",
			.lenient = true },
		{ .input = "TO:a@é.", .text = "a@é", .domain = "é", .lenient = true },
		{ .input = "TO:<a@b.c..>" },
		{ .input = "TO:<a@.>" },
		{ .input = "TO:<a@[192.0.2.1].>" },
		{ .input = "TO:<a..b@c>" },
		{ .input = "TO:<ab.@c>" },
		{ .input = "TO:<.ab@c>" },
		{ .input = "TO:<.@c>" },
		{ .input = "TO:<postmaster.>" },
		{ .input = "TO:<a>" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct span args = span_of(table[i].input);
		struct path path = { 0 };
		bool fine = path_take(&args, PATH_FORWARD, &path) == PATH_FINE;
		if (!CHECK(fine == (table[i].text != NULL)))
			fprintf(stderr, "\t%s\n", table[i].input);
		CHECK_SPAN(path.text, table[i].text ? table[i].text : "");
		CHECK_SPAN(path.domain, table[i].domain ? table[i].domain : "");
		CHECK(path.lenient == table[i].lenient);
	}
}

/* In LMTP a mail system may leave its own domain out. */
static void test_a_local_part_may_stand_alone(void)
{
	static const char *const fine[] = { "info", "a.b+c", "\"a b\"", "Postmaster",
		"josé" };
	static const char *const wrong[] = { "", "a..b", "a.", "a b", "@", "a@", "-<",
		"\"a", "@b:" };

	for (size_t i = 0; i < TEST_COUNT(fine) + TEST_COUNT(wrong); i++) {
		bool is_fine = i < TEST_COUNT(fine);
		const char *text = is_fine ? fine[i] : wrong[i - TEST_COUNT(fine)];
		char octets[64];
		struct buf b = BUF(octets);
		struct span args;
		struct path path;
		buf_put(&b, SPAN("TO:<"));
		buf_put_str(&b, text);
		buf_put_char(&b, '>');
		args = buf_span(&b);
		if (!CHECK((path_take(&args, PATH_FORWARD_LOCAL, &path) == PATH_FINE &&
				   !path.null) == is_fine))
			fprintf(stderr, "\t%s\n", text);
		if (is_fine)
			CHECK(span_eq(path.local, span_of(text)) && path.domain.n == 0);
	}
}

struct international {
	const char *input;
	const char *local, *domain;
	bool is_ascii;
};

/* RFC 6531 3.3: atext, qtextSMTP and sub-domain; a path has a flag if it needs SMTPUTF8 */
static void test_takes_utf8_and_says_so(void)
{
	static const struct international table[] = {
		{ .input = "FROM:<josé@example.org>",
			.local = "josé",
			.domain = "example.org" },
		{ .input = "FROM:<jos\x65\xcc\x81@example.org>",
			.local = "jos\x65\xcc\x81",
			.domain = "example.org" },
		{ .input = "FROM:<a@bücher.example>",
			.local = "a",
			.domain = "bücher.example" },
		{ .input = "FROM:<用户@例え.テスト>",
			.local = "用户",
			.domain = "例え.テスト" },
		{ .input = "FROM:<📬.a@b-ü.c>", .local = "📬.a", .domain = "b-ü.c" },
		{ .input = "FROM:<\"jos é\"@b>", .local = "\"jos é\"", .domain = "b" },
		{ .input = "FROM:<\"é\\\"é\"@b>", .local = "\"é\\\"é\"", .domain = "b" },
		{ .input = "FROM:<é@[192.0.2.1]>",
			.local = "é",
			.domain = "[192.0.2.1]" },
		/* U+00A0, and the last character there is */
		{ .input = "FROM:<\xc2\xa0\xf4\x8f\xbf\xbf@b>",
			.local = "\xc2\xa0\xf4\x8f\xbf\xbf",
			.domain = "b" },
		/* of a route, too, which is dropped */
		{ .input = "FROM:<@é:a@b>", .local = "a", .domain = "b" },
		{ .input = "FROM:é@b", .local = "é", .domain = "b" },
		{ .input = "FROM:<a@b>", .local = "a", .domain = "b", .is_ascii = true },
		/* what follows is not the path's */
		{ .input = "FROM:<a@b> é",
			.local = "a",
			.domain = "b",
			.is_ascii = true },
		{ .input = "FROM:<> é", .local = "", .domain = "", .is_ascii = true },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct span args = span_of(table[i].input);
		struct path path;
		if (!CHECK(path_take(&args, PATH_REVERSE, &path) == PATH_FINE)) {
			fprintf(stderr, "\t%s\n", table[i].input);
			continue;
		}
		CHECK_SPAN(path.local, table[i].local);
		CHECK_SPAN(path.domain, table[i].domain);
		CHECK(path.utf8 == !table[i].is_ascii);
	}
}

/* No octet of an accepted path is a control character, and none of a domain in ASCII is above 126. */
static void test_a_literal_hides_nothing(void)
{
	CHECK(!domain_valid(SPAN("[192.0.2.1\0x]")));
	CHECK(!domain_valid(SPAN("[192.0.2.1\0\r\n]")));
	CHECK(!domain_valid(SPAN("[IPv6:::1\0x]")));
	CHECK(!domain_valid(SPAN("[192.0.2.1\n]")));
	CHECK(!domain_valid(SPAN("[tag:\x80]")));
	CHECK(!domain_valid(SPAN("[tag:a\0b]")));
}

/* RFC 5321 4.5.3.1.2 and 4.5.3.1.3 */
static void test_lengths_are_limited(void)
{
	struct span path = SPAN("FROM:<" HUNDRED "@" HUNDRED LABELS "abcd>");
	struct span route = SPAN("FROM:<@" HUNDRED ":" HUNDRED "@" LABELS "a>");
	struct span domain = SPAN(HUNDRED HUNDRED LABELS "abcdef");
	struct path ret;

	CHECK(path_take(&path, PATH_REVERSE, &ret) == PATH_SYNTAX);
	CHECK(path_take(&route, PATH_REVERSE, &ret) == PATH_FINE);
	CHECK(!domain_valid(domain));
	domain.n = DOMAIN_OCTETS_MAX;
	CHECK(domain_valid(domain));
	/* octets, not characters (RFC 6531 changes neither limit) */
	CHECK(domain_valid_utf8(SPAN(HUNDRED HUNDRED "." FIFTY "écd")));
	CHECK(!domain_valid_utf8(SPAN(HUNDRED HUNDRED "." FIFTY "écde")));
}

static void test_knows_domains(void)
{
	CHECK(domain_valid(SPAN("client.example.org")));
	CHECK(domain_valid(SPAN("localhost")));
	CHECK(domain_valid(SPAN("[192.0.2.1]")));
	CHECK(!domain_valid(SPAN("")));
	CHECK(!domain_valid(SPAN("a b")));
	CHECK(!domain_valid(SPAN("a\r\nReceived: from b")));
	CHECK(!domain_valid(SPAN("a)")));
	CHECK(!domain_valid(SPAN("[192.0.2.1] b")));
	CHECK(!domain_valid(SPAN("192.0.2.1]")));
	CHECK(!domain_valid(SPAN("example.org.")));
}

/* HELO and our own name are ASCII (RFC 6531 3.7.1); only `domains` and addresses are more. */
static void test_knows_domains_in_utf8(void)
{
	CHECK(domain_valid_utf8(SPAN("bücher.example")));
	CHECK(domain_valid_utf8(SPAN("xn--bcher-kva.example")));
	CHECK(domain_valid_utf8(SPAN("[IPv6:2001:db8::1]")));
	CHECK(!domain_valid_utf8(SPAN("b\xfc"
				      "cher.example")));
	CHECK(!domain_valid_utf8(SPAN("bücher..example")));
	CHECK(!domain_valid_utf8(SPAN("bü cher.example")));
	CHECK(!domain_valid_utf8(SPAN("bücher\xc2\x85.example")));
	CHECK(!domain_valid_utf8(SPAN("")));
	CHECK(!domain_valid(SPAN("bücher.example")));
	CHECK(!domain_valid(SPAN("example.é")));
}

struct quoted {
	const char *local, *octets;
};

static void test_unquotes(void)
{
	static const struct quoted table[] = {
		{ .local = "abc", .octets = "abc" },
		{ .local = "\"abc\"", .octets = "abc" },
		{ .local = "\"a b\"", .octets = "a b" },
		{ .local = "\"a\\\"b\\\\c\"", .octets = "a\"b\\c" },
		{ .local = "\"\\a\"", .octets = "a" },
		{ .local = "\"\"", .octets = "" },
		{ .local = "\"../x\"", .octets = "../x" },
		{ .local = "", .octets = "" },
		{ .local = "josé", .octets = "josé" },
		{ .local = "\"j o \\\"sé\"", .octets = "j o \"sé" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char octets[64];
		struct buf b = BUF(octets);
		local_unquote(span_of(table[i].local), &b);
		CHECK_SPAN(buf_span(&b), table[i].octets);
	}
}

/* Quoting and unquoting returns the same octets. */
static void test_quotes(void)
{
	static const struct quoted table[] = {
		{ .local = "\"\"", .octets = "" },
		{ .local = "\"abc\"", .octets = "abc" },
		{ .local = "\"a b\"", .octets = "a b" },
		{ .local = "\"a\\\"b\\\\c\"", .octets = "a\"b\\c" },
		{ .local = "\"\\\"\"", .octets = "\"" },
		{ .local = "\"josé\"", .octets = "josé" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char quoted[64], octets[64];
		struct buf b = BUF(quoted), back = BUF(octets);
		local_quote(span_of(table[i].octets), &b);
		CHECK_SPAN(buf_span(&b), table[i].local);
		local_unquote(buf_span(&b), &back);
		CHECK_SPAN(buf_span(&back), table[i].octets);
	}
}

static void test_quotes_where_needed(void)
{
	static const struct quoted table[] = {
		{ .local = "abc", .octets = "abc" },
		{ .local = "a.b-c+d", .octets = "a.b-c+d" },
		{ .local = "josé", .octets = "josé" },
		{ .local = "\"a b\"", .octets = "a b" },
		{ .local = "\".a\"", .octets = ".a" },
		{ .local = "\"a..b\"", .octets = "a..b" },
		{ .local = "\"a@b\"", .octets = "a@b" },
		{ .local = "\"\"", .octets = "" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char octets[64];
		struct buf b = BUF(octets);
		local_put(span_of(table[i].octets), &b);
		CHECK_SPAN(buf_span(&b), table[i].local);
	}
}

/* RFC 5321 4.1.2: a quoted local part is the same one as without its quotes. */
static void test_compares_mailboxes_without_their_quotes(void)
{
	static const struct {
		const char *a, *b;
		bool same;
	} table[] = {
		{ "info@example.org", "info@example.org", true },
		{ "Info@Example.ORG", "info@example.org", true },
		{ "\"info\"@example.org", "info@example.org", true },
		{ "\"in\\fo\"@example.org", "info@example.org", true },
		{ "\"a b\"@example.org", "\"a\\ b\"@example.org", true },
		{ "\"a@b\"@example.org", "\"a\\@b\"@example.org", true },
		{ "josé@example.org", "\"josé\"@example.org", true },
		{ "info", "\"info\"", true },
		{ "\"info\"@[tag:a@b]", "info@[tag:a@b]", true },
		{ "info@example.org", "info", false },
		{ "info@example.org", "info@example.com", false },
		{ "info@example.org", "inf@example.org", false },
		{ "\"info@example.org\"", "info@example.org", false },
		{ "\"info@example.org", "info@example.org", false },
		{ "\"@example.org", "@example.org", false },
		{ "info\"@example.org", "info@example.org", false },
		{ "", "", true },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct span a = span_of(table[i].a), b = span_of(table[i].b);
		if (!CHECK(address_is_same(a, b) == table[i].same) ||
			!CHECK(address_is_same(b, a) == table[i].same))
			fprintf(stderr, "\t%s %s\n", table[i].a, table[i].b);
	}
}

/* What needs no quotes as a local part. */
static void test_knows_a_local_part_without_quotes(void)
{
	static const char *const fine[] = { "a", "a.b", "josé" };
	static const char *const wrong[] = { "", "\"a\"", "a b", ".a", "a..b", "a@b", "@",
		" " };

	for (size_t i = 0; i < TEST_COUNT(fine); i++)
		CHECK(local_is_dot_string(span_of(fine[i])));
	for (size_t i = 0; i < TEST_COUNT(wrong); i++)
		if (!CHECK(!local_is_dot_string(span_of(wrong[i]))))
			fprintf(stderr, "\t%s\n", wrong[i]);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_takes_what_the_standard_allows),
		TEST(test_refuses_all_else_and_touches_nothing),
		TEST(test_takes_utf8_and_says_so),
		TEST(test_wants_its_keyword),
		TEST(test_a_forward_path_has_its_dots_in_order),
		TEST(test_a_local_part_may_stand_alone),
		TEST(test_a_literal_hides_nothing),
		TEST(test_lengths_are_limited),
		TEST(test_knows_domains),
		TEST(test_knows_domains_in_utf8),
		TEST(test_unquotes),
		TEST(test_quotes),
		TEST(test_quotes_where_needed),
		TEST(test_compares_mailboxes_without_their_quotes),
		TEST(test_knows_a_local_part_without_quotes),
	};

	return test_main(tests, TEST_COUNT(tests));
}
