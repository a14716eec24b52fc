/* SPDX-License-Identifier: ISC */
/*
 * tools/extract: names that a sender chose are safe, filters select the types in their lists, damaged encodings are
 * detected, and uuencoded files are found only in texts.
 */
#include "test.h"
#include "proto/text.h"
#include "tools/extract/extract.h"

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define RTL "\u202e"

static void test_names_are_made_safe(void)
{
	static const struct {
		const char *text, *name;
	} names[] = {
		{ "scan.pdf", "scan.pdf" },
		{ "Größe und Maß.pdf", "Größe und Maß.pdf" },
		{ "見積書.pdf", "見積書.pdf" },
		/* paths: the last component (RFC 2183 2.3) */
		{ "../../etc/passwd", "passwd" },
		{ "/etc/cron.d/x", "x" },
		{ "C:\\Users\\a\\scan.pdf", "scan.pdf" },
		{ "..\\..\\boot.ini", "boot.ini" },
		{ "a/", "" },
		{ "/", "" },
		{ "..", "" },
		{ ".", "" },
		{ "", "" },
		{ "   ", "" },
		/* hidden, options, home */
		{ ".bashrc", "_bashrc" },
		{ "...a", "_..a" },
		{ "-rf", "_rf" },
		{ "--help", "_-help" },
		{ "~root", "_root" },
		{ "a/.ssh", "_ssh" },
		/* controls, lines, escapes of terminals */
		{ "a\nb.pdf", "a_b.pdf" },
		{ "a\033[2Jb", "a_[2Jb" },
		{ "a\177b", "a_b" },
		{ "a\xc2\x85"
		  "b\xc2\x9b"
		  "c",
			"a_b_c" },
		{ "a\u2028b\u2029c", "a_b_c" },
		/* direction and characters without a shape */
		{ "invoice" RTL "fdp.exe", "invoice_fdp.exe" },
		{ "a\u200eb\u200fc\u061cd\u2066e\u2069f", "a_b_c_d_e_f" },
		{ "a\ufeffb\u200bc", "a_b_c" },
		{ "a\ufffdb", "a_b" },
		/* of Windows, and of shells */
		{ "a<b>c:d\"e|f?g*h", "a_b_c_d_e_f_g_h" },
		{ "$(touch x)`id`", "_(touch x)_id_" },
		{ "it's 100 %.pdf", "it's 100 %.pdf" },
		{ "name.", "name" },
		{ "name. . .", "name" },
		{ " name.pdf ", "name.pdf" },
		{ "CON", "_CON" },
		{ "nul.pdf", "_nul.pdf" },
		{ "aux.tar.gz", "_aux.tar.gz" },
		{ "Com1.txt", "_Com1.txt" },
		{ "LPT\u00b2", "_LPT\u00b2" },
		{ "prn .txt", "_prn .txt" },
		{ "CONIN$", "_CONIN_" },
		{ "com10.txt", "com10.txt" },
		{ "console.pdf", "console.pdf" },
		{ "desktop.ini", "_desktop.ini" },
		{ "AutoRun.inf", "_AutoRun.inf" },
		/* not UTF-8: overlong, surrogate, above U+10FFFF, cut */
		{ "gr\xfc\xdf"
		  "e.pdf",
			"gr__e.pdf" },
		{ "a\xc0\xafz", "a__z" },
		{ "a\xed\xa0\x80z", "a___z" },
		{ "a\xf4\x90\x80\x80z", "a____z" },
		{ "a\xe2\x82", "a__" },
		{ "a\xef\xbf\xbfz", "a_z" },
	};

	for (size_t i = 0; i < TEST_COUNT(names); i++) {
		char name[EXTRACT_NAME_SIZE];
		extract_name_make(span_of(names[i].text), name);
		CHECK_SPAN(span_of(name), names[i].name);
	}
}

static void test_a_nul_is_no_end_of_a_name(void)
{
	char name[EXTRACT_NAME_SIZE];

	extract_name_make(SPAN("a.exe\0.pdf"), name);
	CHECK_SPAN(span_of(name), "a.exe_.pdf");
}

static void test_a_long_name_keeps_its_extension(void)
{
	char name[EXTRACT_NAME_SIZE], numbered[EXTRACT_NAME_SIZE];
	struct span s;

	extract_name_make(SPAN(HUNDRED HUNDRED HUNDRED ".pdf"), name);
	s = span_of(name);
	CHECK(s.n <= EXTRACT_NAME_MAX && s.n > EXTRACT_NAME_MAX - 4);
	CHECK(span_ends(s, SPAN("9.pdf")) || span_ends(s, SPAN("4.pdf")));
	extract_name_number(name, 1234, numbered);
	s = span_of(numbered);
	CHECK(s.n <= EXTRACT_NAME_MAX);
	CHECK(span_ends(s, SPAN("-1234.pdf")));
	/* one that ends in the number is cut to itself; the next number makes another */
	extract_name_number(numbered, 1234, name);
	CHECK(strcmp(name, numbered) == 0);
	extract_name_number(numbered, 1235, name);
	CHECK(span_ends(span_of(name), SPAN("-1235.pdf")));
	/* no character is cut in two */
	extract_name_make(
		SPAN("x" HUNDRED "€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€.pdf"),
		name);
	CHECK(utf8_valid(span_of(name)) && strlen(name) <= EXTRACT_NAME_MAX);
	CHECK(span_ends(span_of(name), SPAN("€.pdf")));
	extract_name_number(name, UINT64_MAX, numbered);
	CHECK(utf8_valid(span_of(numbered)) && strlen(numbered) <= EXTRACT_NAME_MAX);
	/* a long text after a dot is not an extension */
	extract_name_make(SPAN("." HUNDRED HUNDRED HUNDRED), name);
	CHECK(*name == '_' && strlen(name) <= EXTRACT_NAME_MAX);
	extract_name_make(SPAN("con." HUNDRED HUNDRED HUNDRED), name);
	CHECK(strncmp(name, "_con.", 5) == 0 && strlen(name) <= EXTRACT_NAME_MAX);
}

static void test_a_number_stands_before_the_extension(void)
{
	static const struct {
		const char *name, *numbered;
	} names[] = {
		{ "scan.pdf", "scan-7.pdf" },
		{ "scan", "scan-7" },
		{ "a.tar.gz", "a.tar-7.gz" },
		{ "_bashrc", "_bashrc-7" },
	};

	for (size_t i = 0; i < TEST_COUNT(names); i++) {
		char numbered[EXTRACT_NAME_SIZE];
		extract_name_number(names[i].name, 7, numbered);
		CHECK_SPAN(span_of(numbered), names[i].numbered);
	}
}

static void test_a_part_without_a_name_gets_one_by_its_type(void)
{
	char name[EXTRACT_NAME_SIZE];

	extract_name_default("Application/PDF", name);
	CHECK_SPAN(span_of(name), "attachment.pdf");
	extract_name_default("x/../../y", name);
	CHECK_SPAN(span_of(name), "attachment.bin");
}

static void test_types_are_compared_without_case(void)
{
	static const struct {
		const char *list, *type, *name;
		bool has;
	} rows[] = {
		{ "application/pdf", "application/pdf", "x", true },
		{ "application/pdf", "Application/PDF", "x", true },
		{ "application/pdf", "application/pdfx", "x", false },
		{ "image/*", "image/tiff", "x", true },
		{ "image/*", "imagex/tiff", "x", false },
		{ "image/*, .pdf", "application/octet-stream", "a.PDF", true },
		{ ".pdf", "application/pdf", "a", false },
		{ ".pdf", "x/y", ".pdf", false },
		{ ".tar.gz", "x/y", "a.tar.gz", true },
		{ "image/*", "broken", "x", false },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		CHECK(extract_types_have(rows[i].list, rows[i].type, rows[i].name) ==
			rows[i].has);
}

static void test_a_wrong_list_is_a_fault(void)
{
	static const char *const right[] = { "a/b", "a/*", ".x", "a/b,c/*, .d",
		"application/vnd.ms-excel" };
	static const char *const wrong[] = { "", "pdf", "a/", "/b", "a/b/c", "*/*",
		"a/b,", ",a/b", ".", "*" };

	for (size_t i = 0; i < TEST_COUNT(right); i++)
		CHECK(!extract_types_fault(right[i]));
	for (size_t i = 0; i < TEST_COUNT(wrong); i++)
		if (!CHECK(extract_types_fault(wrong[i])))
			fprintf(stderr, "\t%s\n", wrong[i]);
}

static void test_sizes_have_units(void)
{
	static const char *const wrong[] = { "", "K", "1T", "-1", "1.5M", "1 M",
		"20000000000G", "M1" };
	uint64_t n;

	CHECK(extract_size_parse("0", &n) && n == 0);
	CHECK(extract_size_parse("17", &n) && n == 17);
	CHECK(extract_size_parse("2k", &n) && n == 2048);
	CHECK(extract_size_parse("3M", &n) && n == 3 * 1024 * 1024);
	CHECK(extract_size_parse("4G", &n) && n == 4 * UINT64_C(1024) * 1024 * 1024);
	for (size_t i = 0; i < TEST_COUNT(wrong); i++)
		CHECK(!extract_size_parse(wrong[i], &n));
}

/* However the text is split. */
static bool is_damaged(bool base64, struct span text)
{
	bool whole = false;

	for (size_t piece = text.n + 1; piece > 0; piece--) {
		struct extract_check c = { .base64 = base64 };
		for (size_t i = 0; i < text.n; i += piece)
			extract_check_step(
				&c, (struct span){ text.p + i,
					    text.n - i < piece ? text.n - i : piece });
		if (piece == text.n + 1)
			whole = extract_check_end(&c);
		CHECK(extract_check_end(&c) == whole);
	}
	return whole;
}

static void test_damaged_encodings_are_noticed(void)
{
	static const char *const base64[] = { "", "QUJD", "QUJD\r\nQUI=\r\n",
		"QQ==", " Q Q = = " };
	static const char *const no_base64[] = { "QUJ", "QUJD*", "QQ==QUJD",
		"Q===", "QUJD=", "\x80QUJ" };
	static const char *const quoted[] = { "", "a=3Db", "a=\r\nb", "a= \t\nb", "=e4",
		"a=", "a=\r" };
	static const char *const no_quoted[] = { "a=b", "a=4", "a=4=", "==", "a= 41",
		"a=\r41", "=4g", "=g4" };

	for (size_t i = 0; i < TEST_COUNT(base64); i++)
		CHECK(!is_damaged(true, span_of(base64[i])));
	for (size_t i = 0; i < TEST_COUNT(no_base64); i++)
		CHECK(is_damaged(true, span_of(no_base64[i])));
	for (size_t i = 0; i < TEST_COUNT(quoted); i++)
		CHECK(!is_damaged(false, span_of(quoted[i])));
	for (size_t i = 0; i < TEST_COUNT(no_quoted); i++)
		CHECK(is_damaged(false, span_of(no_quoted[i])));
}

/* The files that are found in a text: NAME{octets}, or NAME{octets! for a damaged one. */
struct found {
	struct buf b;
	char text[512];
};

static int found_begin(void *ctx, struct span name)
{
	struct found *f = ctx;

	buf_put(&f->b, name);
	buf_put_char(&f->b, '{');
	return 0;
}

static int found_data(void *ctx, struct span octets)
{
	buf_put(&((struct found *)ctx)->b, octets);
	return 0;
}

static int found_end(void *ctx, bool damaged)
{
	buf_put_char(&((struct found *)ctx)->b, damaged ? '!' : '}');
	return 0;
}

static const struct extract_uu_sink found_sink = { found_begin, found_data, found_end };

static void check_found(const char *text, const char *want)
{
	struct span s = span_of(text);

	for (size_t piece = 1; piece <= s.n; piece++) {
		struct found f = { .b = { .p = f.text, .cap = sizeof(f.text) } };
		struct extract_uu u = { .sink = &found_sink, .ctx = &f };
		int r = 0;
		for (size_t i = 0; i < s.n && r == 0; i += piece)
			r = extract_uu_step(
				&u, (struct span){
					    s.p + i, s.n - i < piece ? s.n - i : piece });
		CHECK(r == 0 && extract_uu_end(&u) == 0);
		CHECK_SPAN(buf_span(&f.b), want);
	}
}

static void test_uuencoded_files_are_found(void)
{
	/* as uuencode of sharutils writes them */
	check_found(
		"Hello,\n\nbegin 644 a b.txt\n%:&5L;&\\ \n`\nend\n", "a b.txt{hello}");
	check_found("begin 0644 a\r\n#86)C\r\n`\r\nend\r\n", "a{abc}");
	check_found("begin-base64 644 a\naGVsbG8=\n====\nbye\n", "a{hello}");
	check_found("begin 644 a\n#86)C\n`\nend\nbegin 600 b\n#86)C\n \nend\n",
		"a{abc}b{abc}");
	/* blanks that were cut off: zeros, and the last line */
	check_found("begin 644 a\n\"86\n\nend\n", "a{a`}");
	check_found("begin 644 a\n#86)C\n`\nend", "a{abc}");
	/* cut, and damaged */
	check_found("begin 644 a\n#86)C\n", "a{abc!");
	check_found("begin 644 a\n#86)C\nlower case\nend\n", "a{abc!");
}

static void test_other_text_is_no_uuencoded_file(void)
{
	static const char *const texts[] = {
		"begin with this\n#86)C\nend\n",
		"begin  644 a\n#86)C\nend\n",
		"begin 644\n#86)C\nend\n",
		"begin 689 a\n#86)C\nend\n",
		"begin 64400 a\n#86)C\nend\n",
		"xbegin 644 a\n#86)C\nend\n",
		"begin 644 a\nlower case, which is none\n",
		"begin 644 a\n\n#86)C\nend\n",
		"begin 644 a\n`\nend\n",
		"begin-base64 644 a\nno base64!\n====\n",
		"end\n",
	};

	for (size_t i = 0; i < TEST_COUNT(texts); i++)
		check_found(texts[i], "");
}

static const struct test tests[] = {
	TEST(test_names_are_made_safe),
	TEST(test_a_nul_is_no_end_of_a_name),
	TEST(test_a_long_name_keeps_its_extension),
	TEST(test_a_number_stands_before_the_extension),
	TEST(test_a_part_without_a_name_gets_one_by_its_type),
	TEST(test_types_are_compared_without_case),
	TEST(test_a_wrong_list_is_a_fault),
	TEST(test_sizes_have_units),
	TEST(test_damaged_encodings_are_noticed),
	TEST(test_uuencoded_files_are_found),
	TEST(test_other_text_is_no_uuencoded_file),
};

int main(void)
{
	return test_main(tests, TEST_COUNT(tests));
}
