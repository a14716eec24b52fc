/* SPDX-License-Identifier: ISC */
/*
 * tools/outbox: names of reports have the time of the last attempt, and sendmail has a time limit. The test uses its
 * own directories and programs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "tools/job/job.h"
#include "tools/outbox/outbox.h"
#include "unit/test.h"

#define NOW 1750000000 /* 2025-06-15 */
#define WAIT 600
#define FIFTY "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
#define LONG FIFTY FIFTY FIFTY FIFTY FIFTY "vwxyz" /* NAME_MAX octets */
#define STAMP_ROOM 23 /* ",T=" and the longest number */

_Static_assert(sizeof(LONG) == OUTBOX_NAME_SIZE, "as long as a name may be");

/* An empty outbox: the current directory. */
struct yard {
	char path[32];
	struct outbox_dirs outbox;
};

static void write_file(int dir, const char *name, const char *text, mode_t mode)
{
	OWNED_FD int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void yard_init(struct yard *y)
{
	char why[256];
	struct buf b = BUF(why);

	strcpy(y->path, "/tmp/outbox.XXXXXX");
	REQUIRE(mkdtemp(y->path) && chdir(y->path) == 0);
	REQUIRE(mkdir("new", 0700) == 0 && mkdir("cur", 0700) == 0);
	REQUIRE(outbox_dirs_open(&y->outbox, ".", &b) == 0);
}

static void empty(int dir)
{
	DIR *list = fdopendir(dir);

	for (struct dirent *entry; list && (entry = readdir(list));)
		unlinkat(dir, entry->d_name, 0);
	if (list)
		closedir(list);
}

static void yard_done(struct yard *y)
{
	empty(y->outbox.new_dir);
	empty(y->outbox.cur_dir);
	empty(y->outbox.rejected_dir);
	rmdir("new");
	rmdir("cur");
	rmdir("rejected");
	close(y->outbox.top);
	REQUIRE(chdir("/") == 0 && rmdir(y->path) == 0);
}

static bool holds(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_is_due_when_its_last_attempt_is_old_enough(void)
{
	static const struct {
		const char *name;
		bool due;
	} cases[] = {
		{ "a,T=1749999400", true },
		{ "a,T=1749999401", false },
		{ "a,T=1750000000", false },
		/* of a clock that is no longer right */
		{ "a,T=1750000599", false },
		{ "a,T=1750000600", true },
		{ "a,T=18446744073709551615", true },
		{ "a,T=0", true },
		{ ",T=1750000000", false },
		{ "a,T=1,T=1750000000", false },
		/* no stamp of ours */
		{ "a", true },
		{ "", true },
		{ "1750000000", true },
		{ "T=1750000000", true },
		{ "a,T=", true },
		{ "a,S=1750000000", true },
		{ "a,T=1750000000x", true },
		{ "a,T=1750000000,T=1", true },
		{ "a,T=-1750000000", true },
		{ "a,T=111111111118446744073709551615", true },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		if (!CHECK(outbox_is_due(cases[i].name, NOW, WAIT) == cases[i].due))
			fprintf(stderr, "\t%s\n", cases[i].name);
}

static void test_a_claim_is_a_new_stamp(void)
{
	static const struct {
		const char *name, *claimed;
	} cases[] = {
		{ "a", "a,T=1750000000" },
		{ "a,S=12", "a,S=12,T=1750000000" },
		{ "b,T=1", "b,T=1750000000" },
		{ "c,T=1,T=2", "c,T=1,T=1750000000" },
		{ ",T=1", ",T=1750000000" },
		{ "d,T=", "d,T=,T=1750000000" },
	};
	char claimed[OUTBOX_NAME_SIZE], again[OUTBOX_NAME_SIZE];
	struct yard y;

	yard_init(&y);
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		write_file(y.outbox.new_dir, cases[i].name, "", 0600);
		CHECK(outbox_claim(&y.outbox, y.outbox.new_dir, cases[i].name, NOW,
			      claimed) == 0);
		CHECK_SPAN(span_of(claimed), cases[i].claimed);
		CHECK(holds(y.outbox.cur_dir, claimed));
		CHECK(!holds(y.outbox.new_dir, cases[i].name));
		CHECK(!outbox_is_due(claimed, NOW + WAIT - 1, WAIT));
		CHECK(outbox_is_due(claimed, NOW + WAIT, WAIT));
		/* and once more, in cur */
		CHECK(outbox_claim(&y.outbox, y.outbox.cur_dir, claimed, NOW + WAIT,
			      again) == 0);
		CHECK(!holds(y.outbox.cur_dir, claimed));
		CHECK(!outbox_is_due(again, NOW + WAIT, WAIT));
		CHECK(outbox_remove(&y.outbox, again) == 0);
		CHECK(!holds(y.outbox.cur_dir, again));
	}
	CHECK(outbox_claim(&y.outbox, y.outbox.new_dir, "gone", NOW, claimed) == -ENOENT);
	CHECK(outbox_remove(&y.outbox, "gone") == -ENOENT);
	yard_done(&y);
}

static void test_a_name_that_is_too_long_is_cut(void)
{
	char claimed[OUTBOX_NAME_SIZE], again[OUTBOX_NAME_SIZE];
	struct yard y;

	yard_init(&y);
	write_file(y.outbox.new_dir, LONG, "", 0600);
	CHECK(outbox_claim(&y.outbox, y.outbox.new_dir, LONG, NOW, claimed) == 0);
	CHECK(strncmp(claimed, LONG, NAME_MAX - STAMP_ROOM) == 0);
	CHECK_SPAN(span_of(claimed + NAME_MAX - STAMP_ROOM), ",T=1750000000");
	CHECK(outbox_claim(&y.outbox, y.outbox.cur_dir, claimed, NOW + 1, again) == 0);
	CHECK(strlen(again) == strlen(claimed));
	CHECK(outbox_reject(&y.outbox, again, NOW) == 0);
	yard_done(&y);
}

static void test_nothing_is_overwritten(void)
{
	char claimed[OUTBOX_NAME_SIZE];
	struct yard y;

	yard_init(&y);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {
			"a,T=1750000000",
			"a,T=1750000001",
			"a,T=1750000002",
		};
		write_file(y.outbox.new_dir, "a", "", 0600);
		CHECK(outbox_claim(&y.outbox, y.outbox.new_dir, "a", NOW, claimed) == 0);
		CHECK_SPAN(span_of(claimed), names[i]);
		CHECK(holds(y.outbox.cur_dir, claimed));
	}
	CHECK(outbox_reject(&y.outbox, "a,T=1750000000", NOW) == 0);
	CHECK(outbox_reject(&y.outbox, "a,T=1750000001", NOW) == 0);
	CHECK(outbox_reject(&y.outbox, "a,T=1750000002", NOW) == 0);
	CHECK(holds(y.outbox.rejected_dir, "a"));
	CHECK(holds(y.outbox.rejected_dir, "a,T=1750000000"));
	CHECK(holds(y.outbox.rejected_dir, "a,T=1750000001"));
	yard_done(&y);
}

/* A rejected file has its first name; one without a name keeps its stamp. */
static void test_a_rejected_report_has_its_name_again(void)
{
	struct yard y;

	yard_init(&y);
	write_file(y.outbox.cur_dir, "a,S=5,T=1", "", 0600);
	write_file(y.outbox.cur_dir, ",T=1", "", 0600);
	CHECK(outbox_reject(&y.outbox, "a,S=5,T=1", NOW) == 0);
	CHECK(outbox_reject(&y.outbox, ",T=1", NOW) == 0);
	CHECK(holds(y.outbox.rejected_dir, "a,S=5"));
	CHECK(holds(y.outbox.rejected_dir, ",T=1750000000"));
	yard_done(&y);
}

static void test_two_cannot_have_the_directory(void)
{
	char why[256];
	struct buf b = BUF(why);
	struct outbox_dirs other;
	struct yard y;

	yard_init(&y);
	CHECK(outbox_lock(&y.outbox) == 0);
	REQUIRE(outbox_dirs_open(&other, ".", &b) == 0);
	CHECK(outbox_lock(&other) == -EWOULDBLOCK);
	yard_done(&y);
	CHECK(outbox_lock(&other) == 0);
	close(other.top);
}

static void test_only_a_directory_of_our_own_is_opened(void)
{
	static const struct {
		const char *name;
		mode_t mode;
		const char *why;
	} cases[] = {
		{ ".", 0720, "others may write there: chmod go-w" },
		{ ".", 0702, "others may write there: chmod go-w" },
		{ "new", 0777, "new/: others may write there: chmod go-w" },
		{ "cur", 0720, "cur/: others may write there: chmod go-w" },
		{ "rejected", 0702, "rejected/: others may write there: chmod go-w" },
	};
	struct yard y;

	yard_init(&y);
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char why[256];
		struct buf b = BUF(why);
		struct outbox_dirs other;
		CHECK(chmod(cases[i].name, cases[i].mode) == 0);
		CHECK(outbox_dirs_open(&other, ".", &b) == -1);
		CHECK_SPAN(buf_span(&b), cases[i].why);
		CHECK(chmod(cases[i].name, 0755) == 0);
	}
	yard_done(&y);
}

/* Makes a sendmail: `script` in a file of its own, for a shell; NULL: an empty file. */
static enum outbox_sent send_with(const char *script, uint64_t seconds, struct buf *why)
{
	char directory[] = "/tmp/sendmail.XXXXXX", path[sizeof(directory) + 2];
	OWNED_FD int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	enum outbox_sent sent;

	REQUIRE(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/s", directory);
	if (script)
		write_file(AT_FDCWD, path, script, 0700);
	sent = outbox_send(
		&(struct outbox_sendmail){ path, seconds }, file, "joe@example.com", why);
	unlink(path);
	rmdir(directory);
	return sent;
}

struct sending {
	const char *script;
	enum outbox_sent sent;
	const char *why;
};

#define SH "#!/bin/sh\n"
#define LATER(n)                                                                         \
	{                                                                                \
		SH "exit " #n "\n", OUTBOX_LATER, "sendmail exited with status " #n      \
	}
#define REFUSED(n)                                                                       \
	{                                                                                \
		SH "exit " #n "\n", OUTBOX_REFUSED, "sendmail exited with status " #n    \
	}

static const struct sending sendings[] = {
	{ SH "exit 0\n", OUTBOX_SENT, "" },
	{ SH "[ \"$#,$1,$2,$3,$4,$5\" = '5,-i,-f,<>,--,joe@example.com' ]\n", OUTBOX_SENT,
		"" },
	/* sysexits(3): usage, data, input, user, host, ... */
	LATER(1),
	LATER(64),
	REFUSED(65),
	LATER(66),
	REFUSED(67),
	REFUSED(68),
	LATER(69),
	LATER(70),
	LATER(71),
	LATER(75),
	LATER(77),
	LATER(78),
	LATER(127),
	{ SH "kill -SEGV $$\n", OUTBOX_LATER, "sendmail was ended by signal 11" },
	{ NULL, OUTBOX_LATER, "sendmail cannot be run: No such file or directory" },
	/* no shell runs a file that the kernel cannot execute */
	{ "exit 0\n", OUTBOX_LATER, "sendmail cannot be run: Exec format error" },
};

static void test_says_how_sendmail_ended(void)
{
	for (size_t i = 0; i < TEST_COUNT(sendings); i++) {
		char text[256];
		struct buf why = BUF(text);
		if (!CHECK(send_with(sendings[i].script, 30, &why) == sendings[i].sent))
			fprintf(stderr, "\tsendings[%zu]\n", i);
		CHECK_SPAN(buf_span(&why), sendings[i].why);
	}
}

/* The seconds of the run, and its message. */
static double send_slowly(const char *script, const char *want)
{
	char text[256];
	struct buf why = BUF(text);
	uint64_t start = job_clock();

	CHECK(send_with(script, 1, &why) == OUTBOX_LATER);
	CHECK_SPAN(buf_span(&why), want);
	return (double)(job_clock() - start) / JOB_SECOND;
}

#define STOPPED "sendmail did not end for 1 seconds, and was stopped"

static void test_stops_a_sendmail_that_does_not_end(void)
{
	double took = send_slowly(SH "exec sleep 30\n", STOPPED);

	CHECK(took >= 1 && took < 4);
}

static void test_forces_one_that_will_not_be_stopped(void)
{
	double took = send_slowly(SH "trap '' TERM\nfor i in 1 2 3 4 5 6 7 8 9 10 11 12 "
				     "13 14 15; do sleep 1; done\n",
		STOPPED);

	CHECK(took >= 6 && took < 9);
}

/* A script is stopped with what it has started: that, left alone, could send the report yet. */
static void test_stops_the_children_of_a_script(void)
{
	char directory[] = "/tmp/fifo.XXXXXX", ready[sizeof(directory) + 2], script[256],
	     octet;
	OWNED_FD int end = -1;

	REQUIRE(mkdtemp(directory));
	snprintf(ready, sizeof(ready), "%s/f", directory);
	REQUIRE(mkfifo(ready, 0600) == 0);
	end = open(ready, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	REQUIRE(end >= 0);
	snprintf(script, sizeof(script), SH "(trap '' TERM; sleep 30) >%s\nexit 0\n",
		ready);
	send_slowly(script, STOPPED);
	/* no other process has the other end, or only one that ends */
	CHECK(poll(&(struct pollfd){ .fd = end }, 1, 10 * 1000) == 1);
	CHECK(read(end, &octet, 1) == 0);
	unlink(ready);
	rmdir(directory);
}

static void test_a_signal_to_end_waits_until_sendmail_has_ended(void)
{
	char text[256];
	struct buf why = BUF(text);

	CHECK(!outbox_wait(0));
	raise(SIGTERM);
	CHECK(send_with(SH "exit 0\n", 30, &why) == OUTBOX_SENT);
	CHECK(outbox_wait(job_clock() + 30 * JOB_SECOND));
	CHECK(!outbox_wait(0));
}

static void test_waits_as_long_as_it_is_told(void)
{
	uint64_t start = job_clock();

	CHECK(!outbox_wait(start + JOB_SECOND / 5));
	CHECK(job_clock() - start >= JOB_SECOND / 5);
	CHECK(!outbox_wait(start));
}

/* Names of `n` reports of one source, as they come from a directory. */
static void add_many(struct outbox_round *r, const char *source, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char name[64];
		snprintf(name, sizeof(name), "1.M%zuP3Q4.host,N=%s,S=7", i, source);
		outbox_round_add(r, name);
	}
}

static size_t count_source(const struct outbox_round *r, size_t n, const char *source)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += strstr(r->entries[i].name, source) != NULL;
	return found;
}

static void test_a_round_begins_with_one_report_of_each_source(void)
{
	struct outbox_round r = { 0 };

	add_many(&r, "c00002", 1000);
	add_many(&r, "c63364", 3);
	outbox_round_add(&r, "1.M2P3Q4.host,S=7");
	CHECK(r.n == OUTBOX_TURNS_MAX + 4);
	CHECK(count_source(&r, 3, "c00002") == 1);
	CHECK(count_source(&r, 3, "c63364") == 1);
	CHECK(count_source(&r, 3, "host,S=") == 1);
	CHECK(count_source(&r, 7, "c63364") == 3);
	CHECK(count_source(&r, r.n, "c00002") == OUTBOX_TURNS_MAX);
}

/* However many sources there are, one that comes late has its place. */
static void test_a_full_round_has_a_place_for_another_source(void)
{
	struct outbox_round r = { 0 };
	char source[8];

	for (unsigned i = 0; i < 20; i++) {
		snprintf(source, sizeof(source), "0a00%02x", i);
		add_many(&r, source, 5);
	}
	CHECK(r.n == OUTBOX_ROUND_MAX);
	CHECK(count_source(&r, 20, ",N=0a00") == 20);
	add_many(&r, "c63364", 5);
	CHECK(r.n == OUTBOX_ROUND_MAX);
	CHECK(count_source(&r, 21, "c63364") == 1);
	for (size_t i = 1; i < r.n; i++)
		CHECK(r.entries[i - 1].turn <= r.entries[i].turn);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(source, sizeof(source), "0b00%02x", i);
		add_many(&r, source, 1);
	}
	CHECK(r.n == OUTBOX_ROUND_MAX && r.entries[r.n - 1].turn == 0);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_is_due_when_its_last_attempt_is_old_enough),
		TEST(test_a_claim_is_a_new_stamp),
		TEST(test_a_name_that_is_too_long_is_cut),
		TEST(test_nothing_is_overwritten),
		TEST(test_a_rejected_report_has_its_name_again),
		TEST(test_two_cannot_have_the_directory),
		TEST(test_only_a_directory_of_our_own_is_opened),
		TEST(test_says_how_sendmail_ended),
		TEST(test_stops_a_sendmail_that_does_not_end),
		TEST(test_forces_one_that_will_not_be_stopped),
		TEST(test_stops_the_children_of_a_script),
		TEST(test_a_signal_to_end_waits_until_sendmail_has_ended),
		TEST(test_waits_as_long_as_it_is_told),
		TEST(test_a_round_begins_with_one_report_of_each_source),
		TEST(test_a_full_round_has_a_place_for_another_source),
	};

	job_block_signals();
	return test_main(tests, TEST_COUNT(tests));
}
