/* SPDX-License-Identifier: ISC */
/* Tables: exactly the keys in the file are found, and all faults are reported. */
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/table/cdb.h"
#include "unit/test.h"

#define HEARD_MAX 4096
#define CDB_OCTETS_MAX 4096

static const char text_path[] = "test-table.tmp", cdb_path[] = "test-table.tmp.cdb";

static void put_file(const char *path, struct span text)
{
	FILE *f = fopen(path, "we");

	REQUIRE(f && fwrite(text.p, 1, text.n, f) == text.n && fclose(f) == 0);
}

/* Returns the result of a search as one line: the value, "absent" or "failed". */
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

/* Real sender 20, RFC 3629 6: a byte order mark is not part of the first key; anywhere else it is part of a key. */
static void test_a_byte_order_mark_is_skipped(void)
{
	static const struct {
		const char *text, *first, *second;
	} table[] = {
		{ "\xef\xbb\xbf"
		  "a@example.org 1\nb@example.org 2\n",
			"1", "2" },
		{ "\xef\xbb\xbf"
		  "# a comment\r\na@example.org 1\r\nb@example.org 2",
			"1", "2" },
		{ "b@example.org 2\n\xef\xbb\xbf"
		  "a@example.org 1\n",
			"absent", "2" },
		{ "\xef\xbb\xbf", "absent", "absent" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct table *t;
		put_file(text_path, span_of(table[i].text));
		t = open_table(text_path);
		unlink(text_path);
		CHECK_SPAN(span_of(look(t, SPAN("a@example.org"))), table[i].first);
		CHECK_SPAN(span_of(look(t, SPAN("b@example.org"))), table[i].second);
		table_close(t);
	}
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

/* user0 to the last, each with its number, and no other key. */
static void check_users(const struct table *t, int n)
{
	for (int i = 0; i < n; i++) {
		char key[64], value[16];
		snprintf(key, sizeof(key), "user%d@example.org", i);
		snprintf(value, sizeof(value), "%d", i);
		CHECK_SPAN(span_of(look(t, span_of(key))), value);
		snprintf(key, sizeof(key), "user%d@example.com", i);
		CHECK_SPAN(span_of(look(t, span_of(key))), "absent");
	}
}

/* Names that collide with any hash. */
static void test_each_of_many_keys_has_its_own_value(void)
{
	FILE *f = fopen(text_path, "we");
	struct table *t;

	REQUIRE(f);
	for (int i = 0; i < 5000; i++)
		fprintf(f, "user%d@example.org %d\n", i, i);
	REQUIRE(fclose(f) == 0);
	t = open_table(text_path);
	check_users(t, 5000);
	table_close(t);
	unlink(text_path);
}

static void test_the_first_fault_of_a_text_is_told_with_its_line(void)
{
	static const struct {
		struct span text;
		const char *fault;
	} cases[] = {
		{ { "a 1\nb 2\n  c 3\n", 14 },
			"line 3: begins with a blank, but no line con"
			"tinues another; remove the blank" },
		{ { "a 1\na\0 2\n", 9 }, "line 2: has a NUL in it" },
		{ { "a 1\n\n# a\na 2\n", 13 }, "line 4: a: is already on line 1" },
		{ { "a 1\nb 1\nb 1\na 1", 15 }, "line 3: b: is already on line 2" },
		{ { "\x1b[m 1\n\x1b[m 1", 11 }, "line 2: \\x1B[m: is already on line 1" },
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

static bool starts(const char *beginning, const char *text)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

static void test_what_is_no_file_is_a_fault(void)
{
	CHECK(starts("No such file or directory; put it there: install -D -m 0644 -o ",
		fault_of("/nonexistent/table", false)));
	CHECK(starts("is not a regular file; ", fault_of("/", false)));
	CHECK(starts("is not a regular file; ", fault_of("/dev/null", false)));
	REQUIRE(mkfifo(text_path, 0600) == 0);
	CHECK(starts("is not a regular file; ", fault_of(text_path, false)));
	unlink(text_path);
}

/* None where that is fine; else a fault that ends with the command. */
static bool is_secret_fault(const char *path, bool fine)
{
	const char *beginning =
		"other users may read it or write to it, and it is secret: "
		"chmod o= ";
	const char *fault = fault_of(path, true);

	if (fine)
		return !*fault;
	return starts(beginning, fault) && strcmp(fault + strlen(beginning), path) == 0;
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
		{ 0602, false },
		{ 0644, false },
	};
	const struct span pair[] = { { "a", 1 }, { "b", 1 } };

	put_file(text_path, SPAN("a b\n"));
	make_cdb(cdb_path, pair, 1);
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		REQUIRE(chmod(text_path, cases[i].mode) == 0);
		REQUIRE(chmod(cdb_path, cases[i].mode) == 0);
		CHECK(is_secret_fault(text_path, cases[i].fine));
		CHECK(is_secret_fault(cdb_path, cases[i].fine));
		CHECK_SPAN(span_of(fault_of(text_path, false)), "");
		CHECK_SPAN(span_of(fault_of(cdb_path, false)), "");
	}
	unlink(text_path);
	unlink(cdb_path);
}

static void count_octets(void *ctx, struct span value)
{
	*(size_t *)ctx += value.n;
}

static void test_a_sample_shows_values(void)
{
	const struct span pairs[] = { { "a", 1 }, { "one", 3 }, { "b", 1 },
		{ "three", 5 } };
	size_t in_text = 0, in_cdb = 0;
	struct table *t;

	put_file(text_path, SPAN("a one\nb three\n"));
	make_cdb(cdb_path, pairs, 2);
	t = open_table(text_path);
	table_sample(t, count_octets, &in_text);
	table_close(t);
	t = open_table(cdb_path);
	table_sample(t, count_octets, &in_cdb);
	table_close(t);
	CHECK(in_text == 8 && in_cdb == 8);
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

static const struct span some_pairs[] = {
	{ "info@example.org", 16 },
	{ "", 0 },
	{ "scanner@example.org", 19 },
	{ "scans/%u auth", 13 },
	{ "@example.org", 12 },
	{ "all", 3 },
	{ "", 0 },
	{ "x", 1 },
	{ "a", 1 },
	{ "1", 1 },
	{ "b", 1 },
	{ "2", 1 },
};
#define N_PAIRS (TEST_COUNT(some_pairs) / 2)

static void test_a_cdb_has_what_was_put_into_it(void)
{
	struct table *t;

	make_cdb(cdb_path, some_pairs, N_PAIRS);
	t = open_table(cdb_path);
	unlink(cdb_path);
	for (size_t i = 0; i < 2 * N_PAIRS; i += 2) {
		const char *found = look(t, some_pairs[i]);
		CHECK(span_eq(span_of(found), some_pairs[i + 1]));
	}
	CHECK_SPAN(span_of(look(t, SPAN("Info@example.org"))), "absent");
	CHECK_SPAN(span_of(look(t, SPAN("example.org"))), "absent");
	CHECK_SPAN(span_of(look(t, SPAN("a\0"))), "absent");
	table_close(t);
}

static void test_an_empty_cdb_has_nothing(void)
{
	struct table *t;

	make_cdb(cdb_path, some_pairs, 0);
	t = open_table(cdb_path);
	CHECK_SPAN(span_of(look(t, SPAN("a"))), "absent");
	CHECK_SPAN(span_of(look(t, SPAN(""))), "absent");
	table_close(t);
	unlink(cdb_path);
}

/* 20,000: more slots than are read at once, and tables that go on from their beginning. */
static void test_each_of_many_keys_of_a_cdb_has_its_own_value(void)
{
	struct cdb_make make;
	int fd = open(cdb_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct table *t;
	char key[64], value[16];

	REQUIRE(fd >= 0 && cdb_make_start(&make, fd) == 0);
	for (int i = 0; i < 20000; i++) {
		int n_key = snprintf(key, sizeof(key), "user%d@example.org", i);
		int n = snprintf(value, sizeof(value), "%d", i);
		REQUIRE(cdb_make_add(&make, key, (unsigned)n_key, value, (unsigned)n) ==
			0);
	}
	REQUIRE(cdb_make_finish(&make) == 0 && close(fd) == 0);
	t = open_table(cdb_path);
	unlink(cdb_path);
	check_users(t, 20000);
	table_close(t);
}

/* The same in memory: its descriptor, and the octets of it. */
static int make_in_memory(char octets[CDB_OCTETS_MAX], size_t *ret_n)
{
	int fd = memfd_create("cdb", MFD_CLOEXEC), file;
	ssize_t n;

	make_cdb(cdb_path, some_pairs, N_PAIRS);
	file = open(cdb_path, O_RDONLY | O_CLOEXEC);
	n = read(file, octets, CDB_OCTETS_MAX);
	REQUIRE(file >= 0 && fd >= 0 && n > 2048 && n < CDB_OCTETS_MAX);
	REQUIRE(write(fd, octets, (size_t)n) == n);
	close(file);
	unlink(cdb_path);
	*ret_n = (size_t)n;
	return fd;
}

static void test_a_cdb_that_is_cut_short_is_not_opened(void)
{
	char octets[CDB_OCTETS_MAX];
	size_t n;
	int fd = make_in_memory(octets, &n);
	struct table_cdb c;

	CHECK(table_cdb_open(&c, fd) == 0);
	while (n-- > 0) {
		REQUIRE(ftruncate(fd, (off_t)n) == 0);
		CHECK(table_cdb_open(&c, fd) == -EBADMSG);
	}
	close(fd);
	put_file(cdb_path, (struct span){ octets, 1000 });
	CHECK_SPAN(span_of(fault_of(cdb_path, false)), "is no cdb, or not all of one");
	/* as a file system may leave one that was never synced */
	memset(octets, 0, sizeof(octets));
	put_file(cdb_path, (struct span){ octets, sizeof(octets) });
	CHECK_SPAN(span_of(fault_of(cdb_path, false)), "is no cdb, or not all of one");
	unlink(cdb_path);
}

/* A key is not reported as absent for this reason, and there is no SIGBUS. */
static void test_a_cdb_that_is_cut_short_later_fails(void)
{
	char octets[CDB_OCTETS_MAX], found[TABLE_VALUE_MAX];
	size_t n, n_failed = 0;
	int fd = make_in_memory(octets, &n);
	struct table_cdb c;

	REQUIRE(table_cdb_open(&c, fd) == 0);
	while (n-- > 0) {
		REQUIRE(ftruncate(fd, (off_t)n) == 0);
		for (size_t k = 0; k < 2 * N_PAIRS; k += 2) {
			struct buf b = BUF(found);
			enum table_found r = table_cdb_find(&c, some_pairs[k], &b);
			n_failed += r == TABLE_FAILED;
			CHECK(r == TABLE_FAILED ||
				(r == TABLE_FOUND &&
					span_eq(buf_span(&b), some_pairs[k + 1])));
		}
	}
	CHECK(n_failed > 2048);
	close(fd);
}

static void ignore_fault(void *ctx, const char *what)
{
	(void)ctx;
	CHECK(*what);
}

static void ignore_pair(void *ctx, size_t line, struct span key, struct span value)
{
	(void)ctx;
	CHECK(line == 0 && key.n <= ENTRY_KEY_MAX && value.n <= ENTRY_VALUE_MAX);
}

/* Searches and visits everything: this always ends, and stays within the memory. */
static void look_around(int fd)
{
	const struct table_visitor v = { NULL, ignore_pair };
	struct faults faults = { .report = ignore_fault };
	char found[TABLE_VALUE_MAX];
	struct table_cdb c;

	if (table_cdb_open(&c, fd) < 0)
		return;
	for (size_t k = 0; k < 2 * N_PAIRS; k += 2) {
		struct buf b = BUF(found);
		table_cdb_find(&c, some_pairs[k], &b);
		CHECK(!b.overflow);
	}
	table_cdb_visit(&c, &v, &faults);
}

static void test_a_cdb_may_be_broken_anywhere(void)
{
	static const char wrong[] = { 0, 1, 0x7f, (char)0x80, (char)0xff };
	char octets[CDB_OCTETS_MAX];
	size_t n;
	int fd = make_in_memory(octets, &n);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(wrong); k++) {
			REQUIRE(pwrite(fd, &wrong[k], 1, (off_t)i) == 1);
			look_around(fd);
		}
		REQUIRE(pwrite(fd, &octets[i], 1, (off_t)i) == 1);
	}
	close(fd);
}

static void put_number(char *to, uint32_t number)
{
	cdb_pack(number, (unsigned char *)to);
}

/* A table without an empty slot, whose hashes are all those of the key, and whose pairs are all others. */
static void test_a_search_ends(void)
{
	char octets[CDB_OCTETS_MAX] = "";
	size_t n = 2048 + 8 + 1, n_slots = 100;
	struct table *t;

	for (size_t i = 0; i < 256; i++) {
		put_number(octets + 8 * i, (uint32_t)n);
		put_number(octets + 8 * i + 4, (uint32_t)n_slots);
	}
	put_number(octets + 2048, 1);
	octets[2048 + 8] = 'x';
	for (size_t i = 0; i < n_slots; i++) {
		put_number(octets + n + 8 * i, cdb_hash("a", 1));
		put_number(octets + n + 8 * i + 4, 2048);
	}
	put_file(cdb_path, (struct span){ octets, n + 8 * n_slots });
	t = open_table(cdb_path);
	CHECK_SPAN(span_of(look(t, SPAN("a"))), "absent");
	table_close(t);
	unlink(cdb_path);
}

/* All faults of a check, one per line. */
struct heard {
	char text[HEARD_MAX];
	size_t n;
};

static void hear_fault(void *ctx, const char *what)
{
	struct heard *h = ctx;

	h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n, "%s\n", what);
}

static void hear_pair(void *ctx, size_t line, struct span key, struct span value)
{
	struct heard *h = ctx;

	h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n,
		"%zu: %.*s=%.*s\n", line, (int)key.n, key.p, (int)value.n, value.p);
}

static const char *check_table(const char *path, bool is_secret)
{
	static struct heard h;
	const struct table_visitor v = { &h, hear_pair };
	struct faults faults = { .report = hear_fault, .ctx = &h };

	h = (struct heard){ .n = 0 };
	table_check(path, is_secret, &v, &faults);
	return h.text;
}

static void test_a_check_tells_every_fault_of_a_text(void)
{
	put_file(text_path, SPAN("a 1\nb 2\n c\na 3\nd\0\na 4\ne"));
	CHECK_SPAN(span_of(check_table(text_path, false)),
		"line 3: begins with a blank, but no line continues another; remove the "
		"blank\n"
		"line 4: a: is already on line 1\n"
		"line 5: has a NUL in it\n"
		"line 6: a: is already on line 1\n"
		"1: a=1\n2: b=2\n7: e=\n");
	REQUIRE(chmod(text_path, 0644) == 0);
	CHECK_SPAN(span_of(check_table(text_path, true)),
		"other users may read it or write to it, and it is secret: chmod o= "
		"test-table.tmp\n");
	unlink(text_path);
	CHECK(starts("No such file or directory; put it there: ",
		check_table(text_path, false)));
}

static void test_a_check_tells_every_fault_of_a_cdb(void)
{
	static char big[ENTRY_VALUE_MAX + 1];
	const struct span pairs[] = { { "a", 1 }, { "1", 1 }, { "b\033", 2 }, { "2", 1 },
		{ "a", 1 }, { "3", 1 }, { "c", 1 }, { big, sizeof(big) },
		{ big, ENTRY_KEY_MAX + 1 }, { "4", 1 }, { "d", 1 }, { "5", 1 },
		{ "b\033", 2 }, { "6", 1 } };
	FILE *f;

	memset(big, 'x', sizeof(big));
	make_cdb(cdb_path, pairs, TEST_COUNT(pairs) / 2);
	CHECK_SPAN(span_of(check_table(cdb_path, false)),
		"0: a=1\n0: b\033=2\na: stands twice\n"
		"c: has a value of more than 4096 octets\n"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"...: has a key of more than 1024 octets\n"
		"0: d=5\nb\\x1B: stands twice\n");
	/* the first key becomes another one, and the second pair longer than the file */
	f = fopen(cdb_path, "r+e");
	REQUIRE(f && fseek(f, 2048 + 8, SEEK_SET) == 0 && fputc('z', f) == 'z');
	REQUIRE(fseek(f, 2048 + 10 + 7, SEEK_SET) == 0 && fputc('z', f) == 'z');
	REQUIRE(fclose(f) == 0);
	CHECK_SPAN(span_of(check_table(cdb_path, false)),
		"z: is not found: that file is broken\n"
		"is no cdb, or not all of one\n");
	unlink(cdb_path);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_text_has_what_is_in_its_lines),
		TEST(test_a_byte_order_mark_is_skipped),
		TEST(test_an_empty_text_has_nothing),
		TEST(test_each_of_many_keys_has_its_own_value),
		TEST(test_the_first_fault_of_a_text_is_told_with_its_line),
		TEST(test_a_text_has_its_limit),
		TEST(test_what_is_no_file_is_a_fault),
		TEST(test_a_secret_is_not_for_others),
		TEST(test_a_sample_shows_values),
		TEST(test_a_table_stays_what_it_was_when_it_was_opened),
		TEST(test_a_cdb_has_what_was_put_into_it),
		TEST(test_an_empty_cdb_has_nothing),
		TEST(test_each_of_many_keys_of_a_cdb_has_its_own_value),
		TEST(test_a_cdb_that_is_cut_short_is_not_opened),
		TEST(test_a_cdb_that_is_cut_short_later_fails),
		TEST(test_a_cdb_may_be_broken_anywhere),
		TEST(test_a_search_ends),
		TEST(test_a_check_tells_every_fault_of_a_text),
		TEST(test_a_check_tells_every_fault_of_a_cdb),
	};

	return test_main(tests, TEST_COUNT(tests));
}
