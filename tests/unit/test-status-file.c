/* SPDX-License-Identifier: ISC */
/* tools/status/files: a log is read from its end, backwards and forwards, and no further than requested. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tools/status/source.h"
#include "unit/test.h"

#define PATH_MAX_ 64
#define LINE_HEAD                                                                        \
	"{\"time\":\"2026-12-01T09:08:07.000042Z\",\"event\":\"session\",\"port\":"

/* A log in a directory of its own. */
struct log_file {
	char dir[PATH_MAX_], path[2 * PATH_MAX_];
	struct status_source *source;
};

static void append(const struct log_file *l, const char *text)
{
	FILE *to = fopen(l->path, "a");

	REQUIRE(to && fputs(text, to) >= 0 && fclose(to) == 0);
}

static void put_line(const struct log_file *l, unsigned port)
{
	char line[256];

	snprintf(line, sizeof(line), LINE_HEAD "%u}\n", port);
	append(l, line);
}

/* A line of that many octets, its end included, that is a record. */
static void put_long_line(const struct log_file *l, unsigned port, size_t n)
{
	char *line = malloc(n + 2);
	int used = snprintf(line, n, LINE_HEAD "%u", port);

	REQUIRE(line && used > 0 && (size_t)used + 2 <= n);
	memset(line + used, ' ', n - (size_t)used);
	line[n - 2] = '}';
	line[n - 1] = '\n';
	line[n] = '\0';
	append(l, line);
	free(line);
}

static void init(struct log_file *l)
{
	snprintf(l->dir, sizeof(l->dir), "/tmp/status.XXXXXX");
	REQUIRE(mkdtemp(l->dir));
	snprintf(l->path, sizeof(l->path), "%s/log", l->dir);
	l->source = NULL;
	append(l, "");
}

static void open_it(struct log_file *l)
{
	REQUIRE(status_file_open(l->path, &l->source) == 0);
}

static void done(struct log_file *l)
{
	if (l->source)
		l->source->ops->free(l->source);
	unlink(l->path);
	REQUIRE(rmdir(l->dir) == 0);
}

/* The port of the record before, or 0. */
static unsigned back(const struct log_file *l)
{
	static struct status_record record;
	int r = l->source->ops->previous(l->source, &record);

	REQUIRE(r >= 0);
	return r ? (unsigned)status_record_number(&record, RECORD_PORT) : 0;
}

static unsigned forth(const struct log_file *l)
{
	static struct status_record record;
	int r = l->source->ops->next(l->source, &record);

	REQUIRE(r >= 0);
	return r ? (unsigned)status_record_number(&record, RECORD_PORT) : 0;
}

static void test_goes_back_and_forth(void)
{
	struct log_file l;

	init(&l);
	for (unsigned port = 1; port <= 3; port++)
		put_line(&l, port);
	open_it(&l);
	CHECK(forth(&l) == 0);
	CHECK(back(&l) == 3 && back(&l) == 2);
	CHECK(forth(&l) == 2 && forth(&l) == 3 && forth(&l) == 0);
	CHECK(back(&l) == 3 && back(&l) == 2 && back(&l) == 1 && back(&l) == 0);
	CHECK(forth(&l) == 1);
	CHECK(l.source->ops->to_end(l.source) == 0 && back(&l) == 3);
	CHECK(l.source->n_skipped == 0);
	done(&l);
}

static void test_an_empty_file_has_nothing(void)
{
	struct log_file l;

	init(&l);
	open_it(&l);
	CHECK(back(&l) == 0 && forth(&l) == 0);
	CHECK(l.source->ops->look(l.source) == 0);
	done(&l);
}

/* Wherever blocks end in lines: lines of all lengths, more than one block of them. */
static void test_lines_may_cross_blocks(void)
{
	struct log_file l;
	const unsigned n = 700;
	unsigned wrong = 0;

	init(&l);
	for (unsigned port = 1; port <= n; port++)
		put_long_line(&l, port, 80 + port * 7 % 1500);
	open_it(&l);
	for (unsigned port = n; port > 0; port--)
		wrong += back(&l) != port;
	CHECK(back(&l) == 0);
	for (unsigned port = 1; port <= n; port++)
		wrong += forth(&l) != port;
	CHECK(forth(&l) == 0 && wrong == 0);
	CHECK(l.source->n_skipped == 0 && l.source->n_visited == 2 * n);
	done(&l);
}

static void test_foreign_lines_cost_themselves_alone(void)
{
	struct log_file l;

	init(&l);
	put_line(&l, 1);
	append(&l, "\n\nwhat\n");
	append(&l, LINE_HEAD "2,\"helo\":\"torn\n");
	put_line(&l, 3);
	put_long_line(&l, 4, STATUS_LINE_MAX + 1);
	put_long_line(&l, 5, STATUS_LINE_MAX + 2);
	put_long_line(&l, 6, 300 * 1024);
	put_line(&l, 7);
	append(&l, LINE_HEAD "8}");
	open_it(&l);
	CHECK(back(&l) == 7 && back(&l) == 4 && back(&l) == 3 && back(&l) == 1);
	CHECK(back(&l) == 0);
	CHECK(l.source->n_skipped == 6);
	CHECK(forth(&l) == 1 && forth(&l) == 3 && forth(&l) == 4 && forth(&l) == 7);
	CHECK(forth(&l) == 0);
	/* the line is whole now */
	append(&l, "\n");
	CHECK(forth(&l) == 8);
	done(&l);
}

/* New lines are found, and a file that is replaced or truncated is read from its beginning. */
static void test_a_file_that_is_rotated_is_followed(void)
{
	struct log_file l;
	char moved[3 * PATH_MAX_];

	init(&l);
	put_line(&l, 1);
	open_it(&l);
	CHECK(forth(&l) == 0 && l.source->ops->look(l.source) == 0);
	put_line(&l, 2);
	CHECK(l.source->ops->look(l.source) == 1 && forth(&l) == 2);

	snprintf(moved, sizeof(moved), "%s.1", l.path);
	REQUIRE(rename(l.path, moved) == 0);
	CHECK(l.source->ops->look(l.source) == 0);
	put_line(&l, 4);
	/* a process still had the old file open */
	REQUIRE(truncate(moved, 0) == 0);
	CHECK(l.source->ops->look(l.source) == 1);
	CHECK(forth(&l) == 0);
	CHECK(l.source->ops->look(l.source) == 1 && forth(&l) == 4);

	REQUIRE(truncate(l.path, 0) == 0);
	CHECK(l.source->ops->look(l.source) == 1 && forth(&l) == 0);
	put_line(&l, 6);
	CHECK(l.source->ops->look(l.source) == 1 && forth(&l) == 6);
	unlink(moved);
	done(&l);
}

/* A line that was torn at its end is no reason to stay. */
static void test_a_torn_file_is_left_too(void)
{
	struct log_file l;
	char moved[3 * PATH_MAX_];

	init(&l);
	put_line(&l, 1);
	open_it(&l);
	append(&l, LINE_HEAD);
	CHECK(l.source->ops->look(l.source) == 1 && forth(&l) == 0);
	CHECK(l.source->ops->look(l.source) == 0);
	snprintf(moved, sizeof(moved), "%s.1", l.path);
	REQUIRE(rename(l.path, moved) == 0);
	put_line(&l, 2);
	CHECK(l.source->ops->look(l.source) == 1 && forth(&l) == 2);
	unlink(moved);
	done(&l);
}

static void test_only_regular_files_are_logs(void)
{
	struct status_source *source = NULL;
	struct log_file l;

	init(&l);
	CHECK(status_file_open(l.dir, &source) == -EINVAL);
	CHECK(status_file_open("/dev/null", &source) == -EINVAL);
	unlink(l.path);
	CHECK(status_file_open(l.path, &source) == -ENOENT);
	REQUIRE(mkfifo(l.path, 0600) == 0);
	CHECK(status_file_open(l.path, &source) == -EINVAL);
	CHECK(!source);
	done(&l);
}

/* A file that begins with a hole of four gigabytes: its end is read without reading the hole. */
static void test_the_newest_come_without_the_oldest(void)
{
	const off_t hole = (off_t)4 << 30;
	struct log_file l;

	init(&l);
	put_line(&l, 1);
	REQUIRE(truncate(l.path, hole) == 0);
	append(&l, "\n");
	put_line(&l, 2);
	put_line(&l, 3);
	open_it(&l);
	CHECK(back(&l) == 3 && back(&l) == 2);
	CHECK(l.source->n_visited == 2);
	done(&l);
}

/* A record of that second and that port in the directory's file `name`. */
static void put_at(
	const struct log_file *l, const char *name, unsigned second, unsigned port)
{
	struct log_file other = *l;
	char line[256];

	snprintf(other.path, sizeof(other.path), "%s/%s", l->dir, name);
	snprintf(line, sizeof(line),
		"{\"time\":\"2026-12-01T09:08:%02u.000000Z\",\"event\":\"session\","
		"\"port\":%u}\n",
		second, port);
	append(&other, line);
}

static unsigned port_of(struct status_source *s,
	int (*step)(struct status_source *s, struct status_record *ret))
{
	static struct status_record record;
	int r = step(s, &record);

	REQUIRE(r >= 0);
	return r ? (unsigned)status_record_number(&record, RECORD_PORT) : 0;
}

/* Ports count the records by time; two of one second stay in the order of their files. */
static void fill_several(const struct log_file *l)
{
	put_at(l, "log.2", 1, 1);
	put_at(l, "log.2", 2, 2);
	put_at(l, "log-20261130", 3, 3);
	put_at(l, "log.1", 4, 4);
	put_at(l, "log", 6, 6);
	put_at(l, "log", 8, 8);
	put_at(l, "other", 5, 5);
	put_at(l, "other", 7, 7);
	put_at(l, "log.1.gz", 1, 99);
	put_at(l, "log.bak", 1, 99);
	put_at(l, "logs.1", 1, 99);
	put_at(l, "log.", 1, 99);
}

static void empty(const struct log_file *l)
{
	DIR *dir = opendir(l->dir);

	REQUIRE(dir);
	for (const struct dirent *e; (e = readdir(dir));)
		if (strcmp(e->d_name, "log") != 0)
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
}

static void test_several_files_are_read_as_one(void)
{
	char other[2 * PATH_MAX_], rotated[2 * PATH_MAX_];
	struct status_source *s;
	struct log_file l;
	const char *wrong, *paths[] = { l.path, other, rotated, l.path };
	unsigned place = 8;

	init(&l);
	snprintf(other, sizeof(other), "%s/other", l.dir);
	snprintf(rotated, sizeof(rotated), "%s/log.1", l.dir);
	fill_several(&l);
	REQUIRE(status_files_open(paths, TEST_COUNT(paths), &s, &wrong) == 0);
	for (unsigned n = 8; n > 0; n--)
		CHECK(port_of(s, s->ops->previous) == n);
	CHECK(port_of(s, s->ops->previous) == 0);
	for (unsigned n = 1; n <= 8; n++)
		CHECK(port_of(s, s->ops->next) == n);
	CHECK(port_of(s, s->ops->next) == 0 && s->n_skipped == 0);
	/* back and forth, by a pattern that turns everywhere */
	for (unsigned i = 0; i < 1000; i++) {
		bool back = (i * 7 + i / 8) % 5 < 3;
		unsigned wanted = back ? place : place < 8 ? place + 1 : 0;
		CHECK(port_of(s, back ? s->ops->previous : s->ops->next) == wanted);
		if (wanted)
			place = back ? place - 1 : place + 1;
	}
	CHECK(s->ops->to_end(s) == 0 && port_of(s, s->ops->previous) == 8);
	CHECK(port_of(s, s->ops->next) == 8);
	put_at(&l, "other", 9, 9);
	put_at(&l, "log.2", 10, 99);
	CHECK(s->ops->look(s) == 1);
	/* a process may have a file open that was rotated */
	CHECK(port_of(s, s->ops->next) == 9 && port_of(s, s->ops->next) == 99);
	CHECK(port_of(s, s->ops->next) == 0);
	s->ops->free(s);
	rotated[strlen(rotated) - 1] = '7';
	CHECK(status_files_open(paths, TEST_COUNT(paths), &s, &wrong) == -ENOENT);
	CHECK(wrong == rotated);
	empty(&l);
	done(&l);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_goes_back_and_forth),
		TEST(test_an_empty_file_has_nothing),
		TEST(test_lines_may_cross_blocks),
		TEST(test_foreign_lines_cost_themselves_alone),
		TEST(test_a_file_that_is_rotated_is_followed),
		TEST(test_a_torn_file_is_left_too),
		TEST(test_only_regular_files_are_logs),
		TEST(test_the_newest_come_without_the_oldest),
		TEST(test_several_files_are_read_as_one),
	};

	return test_main(tests, TEST_COUNT(tests));
}
