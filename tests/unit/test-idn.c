/* SPDX-License-Identifier: ISC */
/* The module idn.so: domains by IDNA (RFC 5890 to 5893, UTS 46), local parts in lower case and NFC. */
#include <dlfcn.h>
#include "edge/idn/idn.h"
#include "unit/test.h"

#define TEN_U "üüüüüüüüüü"
#define FIFTY_U TEN_U TEN_U TEN_U TEN_U TEN_U
#define FIFTY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct idn_api *api;

struct name {
	const char *written, *form; /* NULL: there is none */
};

static const struct name domains[] = {
	/* the same name in several spellings */
	{ "bücher.example", "xn--bcher-kva.example" },
	{ "Bücher.Example", "xn--bcher-kva.example" },
	{ "BÜCHER.EXAMPLE", "xn--bcher-kva.example" },
	{ "bu\xcc\x88"
	  "cher.example",
		"xn--bcher-kva.example" },
	{ "BU\xcc\x88"
	  "CHER.example",
		"xn--bcher-kva.example" },
	{ "xn--bcher-kva.bücher", "xn--bcher-kva.xn--bcher-kva" },
	{ "XN--BCHER-KVA.BÜCHER", "xn--bcher-kva.xn--bcher-kva" },
	{ "a.b-c.1.bücher", "a.b-c.1.xn--bcher-kva" },
	{ "例え.テスト", "xn--r8jz45g.xn--zckzah" },
	{ "пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f" },
	/* dots and letters of East Asian keyboards (UTS 46, RFC 5895) */
	{ "例え。テスト", "xn--r8jz45g.xn--zckzah" },
	{ "ｂücher．example", "xn--bcher-kva.example" },
	/* sharp s and final sigma are letters of their own (RFC 5894 7.2), a capital sigma is none */
	{ "straße.example", "xn--strae-oqa.example" },
	{ "STRAßE.example", "xn--strae-oqa.example" },
	{ "strasse.ü", "strasse.xn--tda" },
	{ "σίσυφος.example", "xn--kxa6ajbbmh.example" },
	{ "σίσυφοσ.example", "xn--kxa6akbbkh.example" },
	{ "ΣΊΣΥΦΟΣ.example", "xn--kxa6akbbkh.example" },
	/* right to left (RFC 5893), joiners and middle dots where they may be (RFC 5892 A) */
	{ "אב.example", "xn--4dbc.example" },
	{ "א1.example", "xn--1-zhc.example" },
	{ "1א.example", NULL },
	{ "אa.example", NULL },
	{ "aא.example", NULL },
	{ "l·l.example", "xn--ll-0ea.example" },
	{ "क्‍ष.example", "xn--11b2ezcw70k.example" },
	{ "a\xe2\x80\x8d"
	  "b.example",
		NULL },
	/* symbols and emoji are DISALLOWED (RFC 5892 2.6), as U-labels and as what looks like A-labels */
	{ "☃.example", NULL },
	{ "i❤.example", NULL },
	{ "📬.example", NULL },
	{ "xn--n3h.bücher", NULL },
	{ "\xcd\xb8.example", NULL }, /* U+0378 is no character yet */
	{ "\xcc\x81"
	  "a.example",
		NULL }, /* a mark with nothing before it */
	/* letters that stand for others than letters */
	{ "℀.example", NULL },
	{ "≠.example", NULL },
	{ "a／b.ü", NULL },
	{ "a＠b.ü", NULL },
	{ "［192.0.2.1］", NULL },
	{ "a\xc2\x85.example", NULL },
	{ "a\xe2\x80\xae.example", NULL },
	/* hyphens (RFC 5891 4.2.3.1), underscores */
	{ "-ü.example", NULL },
	{ "ü-.example", NULL },
	{ "ab--ü.example", NULL },
	{ "xn--ü.example", NULL },
	{ "ü_a.example", NULL },
	{ "ü.a_b.example", "xn--tda.a_b.example" },
	/* A-labels that are none: no Punycode, not what it would be encoded as, nothing but ASCII in it */
	{ "xn--.ü", NULL },
	{ "xn--\xc3\xbc.example", NULL },
	{ "xn--abc-.ü", NULL },
	{ "xn--a-ecp.ü", NULL },
	{ "xn--bu-7db.ü", NULL },
	/* empty labels, also by a dot that is not ASCII */
	{ "ü..example", NULL },
	{ ".ü", NULL },
	{ "ü.", NULL },
	{ "ü。。example", NULL },
	{ "ü。", NULL },
	{ "", NULL },
	/* malformed */
	{ "b\xfc"
	  "cher.example",
		NULL },
	{ "\xc3", NULL },
	/* 63 octets of a label, as it goes over the wire */
	{ FIFTY_U "üüüüüü.x",
		"xn--tdaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x" },
	{ FIFTY_U "üüüüüüü.x",
		"xn--tdaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x" },
	{ FIFTY_U "üüüüüüüü.x", NULL },
	{ "ü." FIFTY_A "aaaaaaaaaaaaa.x", "xn--tda." FIFTY_A "aaaaaaaaaaaaa.x" },
	{ "ü." FIFTY_A "aaaaaaaaaaaaaa.x", NULL },
};

static bool say(const struct name *name, bool is_fine, struct buf *got)
{
	if (CHECK(is_fine == (name->form != NULL)) &&
		(!is_fine || CHECK_SPAN(buf_span(got), name->form)))
		return true;
	fprintf(stderr, "\tof: %s\n", name->written);
	return false;
}

static void test_a_domain_has_one_form(void)
{
	for (size_t i = 0; i < TEST_COUNT(domains); i++) {
		char octets[512];
		struct buf b = BUF(octets);
		enum names_result r = api->domain(span_of(domains[i].written), &b);
		say(&domains[i], r == NAMES_FINE, &b);
		CHECK(r == NAMES_FINE || r == NAMES_INVALID);
		CHECK(r == NAMES_FINE || b.n == 0);
	}
}

/* An address may have 255 octets after the conversion, even if it had fewer before. */
static void test_a_domain_is_as_long_as_it_goes_over_the_wire(void)
{
	char written[300] = "", octets[512];
	struct buf b = BUF(octets);

	/* five octets of UTF-8 are eight of A-label and its dot: "ü.a." */
	for (size_t i = 0; i < 24; i++)
		strcat(written, "ü.a.");
	strcat(written, "ü.aaaa");
	CHECK(api->domain(span_of(written), &b) == NAMES_FINE);
	CHECK(b.n == 24 * 10 + 12);
	b.n = 0;
	strcat(written, "aaaa");
	CHECK(api->domain(span_of(written), &b) == NAMES_INVALID);
	CHECK(b.n == 0);
	/* and more than any address has is not looked at */
	memset(written, 'a', 256);
	written[256] = '\0';
	CHECK(api->domain(span_of(written), &b) == NAMES_INVALID);
}

static const struct name locals[] = {
	{ "josé", "josé" },
	{ "JOSÉ", "josé" },
	{ "jose\xcc\x81", "josé" },
	{ "JOSE\xcc\x81", "josé" },
	{ "Ü.Ö+Ä", "ü.ö+ä" },
	{ "Weiß", "weiß" },
	{ "WEIẞ", "weiß" },
	{ "ЖУК", "жук" },
	{ "用户", "用户" },
	{ "📬", "📬" },
	/* a sigma at the end of a word, and in it (SpecialCasing) */
	{ "ΟΔΟΣ", "οδος" },
	{ "ΣΑΣ", "σας" },
	/* of no language in particular: Turkish dots stay (U+0130 is i and a dot above) */
	{ "İ", "i\xcc\x87" },
	{ "I\xcc\x87", "i\xcc\x87" },
	{ "ıI", "ıi" },
	/* characters that are equal in Unicode: Kelvin, Angstrom, ohm; Greek question mark */
	{ "\xe2\x84\xaa", "k" },
	{ "\xe2\x84\xab", "å" },
	{ "\xe2\x84\xa6", "ω" },
	{ "a\xcd\xbe", "a;" },
	/* but not what only looks like it (NFKC) */
	{ "ｊｏｓé", "ｊｏｓé" },
	{ "\xef\xac\x81", "\xef\xac\x81" },
	/* marks in their order */
	{ "q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87" },
	{ "A B\"\\É", "a b\"\\é" },
	{ "jos\xe9", NULL },
	{ "\xc3", NULL },
	{ "\xed\xa0\x80", NULL },
	{ "\xc0\xaf", NULL },
	{ "\xf4\x90\x80\x80", NULL },
};

static void test_a_local_part_has_one_form(void)
{
	for (size_t i = 0; i < TEST_COUNT(locals); i++) {
		char octets[512], again[512];
		struct buf b = BUF(octets), c = BUF(again);
		enum names_result r = api->local(span_of(locals[i].written), &b);
		if (!say(&locals[i], r == NAMES_FINE, &b) || r != NAMES_FINE)
			continue;
		/* and is not changed */
		CHECK(api->local(buf_span(&b), &c) == NAMES_FINE);
		CHECK(span_eq(buf_span(&b), buf_span(&c)));
	}
}

/* The directory of a mailbox is named by it: no octet of its own may come up. */
static void test_no_letter_turns_into_a_separator(void)
{
	for (unsigned c = 0x80; c <= 0x10ffff; c++) {
		char octets[8], form[64];
		struct buf b = BUF(form);
		size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		unsigned rest = c;
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		for (size_t i = n; i-- > 1; rest >>= 6)
			octets[i] = (char)(0x80 | (rest & 0x3f));
		octets[0] = (char)((0xf00 >> n & 0xff) | rest);
		CHECK(api->local((struct span){ octets, n }, &b) == NAMES_FINE);
		CHECK(b.n > 0 && !b.overflow);
		for (size_t i = 0; i < b.n; i++)
			CHECK(!strchr("/.\"\\@<>", form[i]) && form[i] != '\x7f' &&
				(unsigned char)form[i] >= 32);
	}
}

static void test_what_does_not_fit_is_told(void)
{
	char octets[4];
	struct buf b = BUF(octets);

	api->local(SPAN("josé"), &b);
	CHECK(b.overflow);
	b = BUF(octets);
	api->domain(SPAN("bücher"), &b);
	CHECK(b.overflow);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_domain_has_one_form),
		TEST(test_a_domain_is_as_long_as_it_goes_over_the_wire),
		TEST(test_a_local_part_has_one_form),
		TEST(test_no_letter_turns_into_a_separator),
		TEST(test_what_does_not_fit_is_told),
	};
	const char *path = getenv("POSTERN_IDN_MODULE");
	void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;

	api = module ? dlsym(module, IDN_MODULE_TABLE) : NULL;
	if (!api) {
		fprintf(stderr, "POSTERN_IDN_MODULE: %s\n", path ? dlerror() : "not set");
		return 99;
	}
	return test_main(tests, TEST_COUNT(tests));
}
