/* Tables: what is in the file is found, and nothing else; what is wrong is told, whatever it is. */
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/table.h"
#include "unit/test.h"

#define HEARD_MAX 4096
#define CDB_OCTETS_MAX 4096

static const char text_path[] = "test-table.tmp", cdb_path[] = "test-table.tmp.cdb";

static void put_file(const char *path, struct span text)
{
	FILE *f = fopen(path, "we");

	REQUIRE(f && fwrite(text.p, 1, text.n, f) == text.n && fclose(f) == 0);
}

/* What is found, as one line: the value, "absent" or "failed". */
static const char *look(const struct table *t, struct span key)
{
	static char octets[TABLE_VALUE_MAX + 1];
	struct buf b = BUF(octets);

	switch (table_find(t, key, &b)) {
	case TABLE_FOUND:
		CHECK(buf_terminate(&b));
		return octets;
	case TABLE_ABSENT:
		CHECK(b.n == 0);
		return "absent";
	case TABLE_FAILED:
		return "failed";
	}
	return NULL;
}

/* A cdb with these pairs, as the library makes it: keys at even places, values at odd ones. */
static void make_cdb(const char *path, const struct span *pairs, size_t n_pairs)
{
	struct cdb_make make;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0 && cdb_make_start(&make, fd) == 0);
	for (size_t i = 0; i < 2 * n_pairs; i += 2)
		REQUIRE(cdb_make_add(&make, pairs[i].p, (unsigned)pairs[i].n,
				pairs[i + 1].p, (unsigned)pairs[i + 1].n) == 0);
	REQUIRE(cdb_make_finish(&make) == 0 && close(fd) == 0);
}

static struct table *open_table(const char *path)
{
	char fault[TABLE_FAULT_MAX] = "?";
	struct table *t = NULL;

	if (!CHECK(table_open(path, false, &t, fault) == 0))
		fprintf(stderr, "\t%s: %s\n", path, fault);
	REQUIRE(t);
	CHECK_SPAN(span_of(fault), "");
	return t;
}

/* The fault, as table_open has it; empty: none. */
static const char *fault_of(const char *path, bool is_secret)
{
	static char fault[TABLE_FAULT_MAX];
	struct table *t = NULL;
	int r = table_open(path, is_secret, &t, fault);

	CHECK((r == 0) == (fault[0] == '\0'));
	CHECK(r <= 0 && (r == 0) == (t != NULL));
	table_close(t);
	return fault;
}

static void test_a_text_has_what_is_in_its_lines(void)
{
	struct table *t;

	put_file(text_path, SPAN("# a comment\n"
				 "info@example.org\n"
				 "\n"
				 "scanner@example.org\tscans/%u  auth \r\n"
				 "#info sales\n"
				 "jos\xc3\xa9@example.org  jose\n"
				 "last@example.org x"));
	t = open_table(text_path);
	unlink(text_path);
	CHECK_SPAN(span_of(look(t, SPAN("info@example.org"))), "");
	CHECK_SPAN(span_of(look(t, SPAN("scanner@example.org"))), "scans/%u  auth");
	CHECK_SPAN(span_of(look(t, SPAN("jos\xc3\xa9@example.org"))), "jose");
	CHECK_SPAN(span_of(look(t, SPAN("last@example.org"))), "x");
	CHECK_SPAN(span_of(look(t, SPAN("Info@example.org"))), "absent");
	CHECK_SPAN(span_of(look(t, SPAN("info@example.or"))), "absent");
	CHECK_SPAN(span_of(look(t, SPAN("info@example.org\0"))), "absent");
	CHECK_SPAN(span_of(look(t, SPAN("#"))), "absent");
	CHECK_SPAN(span_of(look(t, SPAN("#info"))), "absent");
	CHECK_SPAN(span_of(look(t, SPAN(""))), "absent");
	table_close(t);
}

static void test_an_empty_text_has_nothing(void)
{
	static const struct span texts[] = { { "", 0 }, { "\n", 1 }, { "# x", 3 } };

	for (size_t i = 0; i < TEST_COUNT(texts); i++) {
		struct table *t;
		put_file(text_path, texts[i]);
		t = open_table(text_path);
		CHECK_SPAN(span_of(look(t, SPAN("x"))), "absent");
		CHECK_SPAN(span_of(look(t, SPAN(""))), "absent");
		table_close(t);
	}
	unlink(text_path);
}

/* Names that collide, whatever the hash is. */
static void test_each_of_many_keys_has_its_own_value(void)
{
	FILE *f = fopen(text_path, "we");
	struct table *t;

	REQUIRE(f);
	for (int i = 0; i < 5000; i++)
		fprintf(f, "user%d@example.org %d\n", i, i);
	REQUIRE(fclose(f) == 0);
	t = open_table(text_path);
	for (int i = 0; i < 5000; i++) {
		char key[64], value[16];
		snprintf(key, sizeof(key), "user%d@example.org", i);
		snprintf(value, sizeof(value), "%d", i);
		CHECK_SPAN(span_of(look(t, span_of(key))), value);
		snprintf(key, sizeof(key), "user%d@example.com", i);
		CHECK_SPAN(span_of(look(t, span_of(key))), "absent");
	}
	table_close(t);
	unlink(text_path);
}

static void test_the_first_fault_of_a_text_is_told_with_its_line(void)
{
	static const struct {
		struct span text;
		const char *fault;
	} cases[] = {
		{ { "a 1\nb 2\n  c 3\n", 14 }, "line 3: begins with a blank" },
		{ { "a 1\na\0 2\n", 9 }, "line 2: has a NUL in it" },
		{ { "a 1\n\n# a\na 2\n", 13 }, "line 4: a: has a line already, 1" },
		{ { "a 1\nb 1\nb 1\na 1", 15 }, "line 3: b: has a line already, 2" },
		{ { "\x1b[m 1\n\x1b[m 1", 11 },
			"line 2: \\x1B[m: has a line already, 1" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		put_file(text_path, cases[i].text);
		CHECK_SPAN(span_of(fault_of(text_path, false)), cases[i].fault);
	}
	unlink(text_path);
}

static void test_a_text_has_its_limit(void)
{
	FILE *f = fopen(text_path, "we");

	REQUIRE(f);
	for (int i = 0; i < TABLE_TEXT_MAX / 8; i++)
		fputs("# 34567\n", f);
	REQUIRE(fflush(f) == 0);
	CHECK_SPAN(span_of(fault_of(text_path, false)), "");
	REQUIRE(fputc('\n', f) == '\n' && fclose(f) == 0);
	CHECK_SPAN(span_of(fault_of(text_path, false)),
		"has more than 1 MiB: make a cdb of it, by postern-cdb(8)");
	unlink(text_path);
}

static void test_what_is_no_file_is_a_fault(void)
{
	CHECK_SPAN(span_of(fault_of("/nonexistent/table", false)),
		"No such file or directory");
	CHECK_SPAN(span_of(fault_of("/", false)), "is not a regular file");
	CHECK_SPAN(span_of(fault_of("/dev/null", false)), "is not a regular file");
	REQUIRE(mkfifo(text_path, 0600) == 0);
	CHECK_SPAN(span_of(fault_of(text_path, false)), "is not a regular file");
	unlink(text_path);
}

static void test_a_secret_is_not_for_others(void)
{
	static const struct {
		mode_t mode;
		bool fine;
	} cases[] = {
		{ 0600, true },
		{ 0640, true },
		{ 0604, false },
		{ 0644, false },
	};
	const struct span pair[] = { { "a", 1 }, { "b", 1 } };

	put_file(text_path, SPAN("a b\n"));
	make_cdb(cdb_path, pair, 1);
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const char *want = cases[i].fine
					   ? ""
					   : "others may read it, and it is secret: "
					     "chmod o-r";
		REQUIRE(chmod(text_path, cases[i].mode) == 0);
		REQUIRE(chmod(cdb_path, cases[i].mode) == 0);
		CHECK_SPAN(span_of(fault_of(text_path, true)), want);
		CHECK_SPAN(span_of(fault_of(cdb_path, true)), want);
		CHECK_SPAN(span_of(fault_of(text_path, false)), "");
		CHECK_SPAN(span_of(fault_of(cdb_path, false)), "");
	}
	unlink(text_path);
	unlink(cdb_path);
}

/* Replaced by rename, the one that is open stays what it was. */
static void test_a_table_stays_what_it_was_when_it_was_opened(void)
{
	const struct span old[] = { { "a", 1 }, { "old", 3 } };
	const struct span new[] = { { "a", 1 }, { "new", 3 } };
	struct table *first, *second;

	make_cdb(cdb_path, old, 1);
	first = open_table(cdb_path);
	make_cdb(text_path, new, 1);
	REQUIRE(rename(text_path, cdb_path) == 0);
	second = open_table(cdb_path);
	CHECK_SPAN(span_of(look(first, SPAN("a"))), "old");
	CHECK_SPAN(span_of(look(second, SPAN("a"))), "new");
	table_close(first);
	table_close(second);
	unlink(cdb_path);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_text_has_what_is_in_its_lines),
		TEST(test_an_empty_text_has_nothing),
		TEST(test_each_of_many_keys_has_its_own_value),
		TEST(test_the_first_fault_of_a_text_is_told_with_its_line),
		TEST(test_a_text_has_its_limit),
		TEST(test_what_is_no_file_is_a_fault),
		TEST(test_a_secret_is_not_for_others),
		TEST(test_a_table_stays_what_it_was_when_it_was_opened),
	};

	return test_main(tests, TEST_COUNT(tests));
}
