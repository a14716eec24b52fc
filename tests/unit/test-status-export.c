/* SPDX-License-Identifier: ISC */
/* tools/status/export: entries of the journal are read whole, in any pieces, and no octets of them do harm. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tools/status/export.h"
#include "unit/test.h"

#define ENTRY                                                                            \
	"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1796116087000042\n_BOOT_ID=b\n"          \
	"POSTERN_EVENT=session\nPRIORITY=4\n_PID=77\n_HOSTNAME=mail\nPOSTERN_HOST="      \
	"forged\n"                                                                       \
	"POSTERN_PEER=192.0.2.1\nPOSTERN_HELO=a\n\n"
#define LITERAL(text) ((struct span){ text, sizeof(text) - 1 })

static struct status_export export;
static struct status_record record;
static struct status_cursor cursor;

/* The parser on a file with that content. */
static void begin(struct span content)
{
	int fd = memfd_create("export", MFD_CLOEXEC);

	REQUIRE(fd >= 0);
	REQUIRE(write(fd, content.p, content.n) == (ssize_t)content.n);
	REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
	if (export.fd > 0)
		close(export.fd);
	export.fd = fd;
	export.begin = 0;
	export.end = 0;
}

static int next(void)
{
	return status_export_read(&export, &cursor, &record);
}

static void check_entry(void)
{
	CHECK_SPAN(span_of(cursor.text), "s=1;i=2");
	CHECK(record.record.event == RECORD_SESSION);
	CHECK(record.record.when.seconds == 1796116087);
	CHECK(record.record.when.microseconds == 42);
	CHECK(record.pid == 77);
	CHECK(topic_get(record.record.topic)->level == RECORD_LEVEL_WARNING);
	CHECK_SPAN(status_record_get(&record, RECORD_HOST), "mail");
	CHECK_SPAN(status_record_get(&record, RECORD_PEER), "192.0.2.1");
	CHECK_SPAN(status_record_get(&record, RECORD_HELO), "a");
}

static void test_an_entry_becomes_a_record(void)
{
	begin(SPAN(ENTRY ENTRY));
	for (size_t i = 0; i < 2; i++) {
		CHECK(next() == 1);
		check_entry();
	}
	CHECK(next() == 0);
	CHECK(!status_export_has_more(&export));
}

/* Octet by octet, as a pipe may give it. */
static void test_an_entry_may_come_in_pieces(void)
{
	static const char text[] = "MESSAGE\n\3\0\0\0\0\0\0\0a\nb\n" ENTRY;
	int fds[2], status;
	pid_t pid;

	REQUIRE(pipe2(fds, O_DIRECT) == 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		for (size_t i = 0; i < sizeof(text) - 1; i++)
			if (write(fds[1], text + i, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(fds[1]);
	begin(SPAN(""));
	close(export.fd);
	export.fd = fds[0];
	CHECK(next() == 1);
	check_entry();
	CHECK(next() == 0);
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
}

static void test_a_value_of_any_octets_is_one_value(void)
{
	begin(LITERAL("POSTERN_EVENT=session\nPOSTERN_HELO\n\14\0\0\0\0\0\0\0"
		      "a\n\nPOSTERN=\0\nPOSTERN_PEER=192.0.2.1\n\n" ENTRY));
	CHECK(next() == 1);
	CHECK_SPAN(status_record_get(&record, RECORD_HELO), "a\\x0A\\x0APOSTERN=\\x00");
	CHECK(next() != 1 || record.record.event == RECORD_SESSION);
}

static void test_what_is_no_record_is_told_apart(void)
{
	static const char *const entries[] = {
		"MESSAGE=hello\n\n",
		"POSTERN_EVENT=party\n\n",
		"POSTERN_EVENT=\n\n",
		"POSTERN_=session\n\n",
		"XPOSTERN_EVENT=session\n\n",
		"postern_event=session\n\n",
	};

	for (size_t i = 0; i < TEST_COUNT(entries); i++) {
		begin(span_of(entries[i]));
		CHECK(next() == 1);
		if (!CHECK(record.record.event == RECORD_EVENTS))
			fprintf(stderr, "\t%s\n", entries[i]);
		CHECK(!*cursor.text);
	}
}

/* An entry that is cut off, at any octet, is none. */
static void test_a_part_of_an_entry_is_none(void)
{
	static const char text[] = "MESSAGE\n\3\0\0\0\0\0\0\0a\nb\n" ENTRY;

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		begin((struct span){ text, n });
		if (!CHECK(next() == 0))
			fprintf(stderr, "\tcut after %zu\n", n);
	}
}

/* Appends a field in both forms, with a value of that many octets. */
static void put_long(struct buf *to, size_t n, bool is_binary)
{
	buf_put_str(to, is_binary ? "POSTERN_FROM\n" : "POSTERN_FROM=");
	for (size_t i = 0; is_binary && i < 8; i++)
		buf_put_char(to, (char)((uint64_t)n >> 8 * i & 255));
	for (size_t i = 0; i < n; i++)
		buf_put_char(to, 'x');
	buf_put_char(to, '\n');
}

static void test_a_field_that_is_too_long_is_left_out(void)
{
	static char octets[8 * STATUS_EXPORT_FIELD_MAX];
	static const size_t lengths[] = { RECORD_TEXT_MAX + 1,
		STATUS_EXPORT_FIELD_MAX - 23, STATUS_EXPORT_FIELD_MAX - 22,
		STATUS_EXPORT_FIELD_MAX - 21, STATUS_EXPORT_FIELD_MAX - 14,
		STATUS_EXPORT_FIELD_MAX - 13, STATUS_EXPORT_FIELD_MAX - 12,
		STATUS_EXPORT_FIELD_MAX, 3 * STATUS_EXPORT_FIELD_MAX };

	for (size_t i = 0; i < 2 * TEST_COUNT(lengths); i++) {
		struct buf b = BUF(octets);

		buf_put(&b, SPAN("MESSAGE=before\n"));
		put_long(&b, lengths[i / 2], i % 2);
		buf_put(&b, SPAN(ENTRY));
		REQUIRE(!b.overflow);
		begin(buf_span(&b));
		if (!CHECK(next() == 1))
			fprintf(stderr, "\t%zu octets\n", lengths[i / 2]);
		check_entry();
		CHECK(status_record_get(&record, RECORD_FROM).n == 0);
		CHECK(next() == 0);
	}
}

static void test_a_cursor_that_is_too_long_is_none(void)
{
	char octets[STATUS_CURSOR_MAX + 64];
	struct buf b = BUF(octets);

	buf_put(&b, SPAN("__CURSOR="));
	for (size_t i = 0; i < STATUS_CURSOR_MAX; i++)
		buf_put_char(&b, 'c');
	buf_put(&b, SPAN("\nPOSTERN_EVENT=session\n\n"));
	begin(buf_span(&b));
	CHECK(next() == 1 && record.record.event == RECORD_SESSION);
	CHECK(!*cursor.text);
}

static void test_what_is_no_export_is_an_error(void)
{
	begin(LITERAL("A=b\n=c\n\n"));
	CHECK(next() == -EBADMSG);
	begin(LITERAL("A\n\1\0\0\0\0\0\0\0ab\n"));
	CHECK(next() == -EBADMSG);
	begin(LITERAL("A\n\377\377\377\377\377\377\377\377ab\n"));
	CHECK(next() == -EBADMSG);
	begin(LITERAL("A\n\376\377\377\377\377\377\377\377ab\n"));
	CHECK(next() == 0);
}

/* More fields than journald adds are not read. */
static void test_the_number_of_fields_has_an_end(void)
{
	static char octets[65536];
	struct buf b = BUF(octets);

	for (size_t i = 0; i < 4096; i++)
		buf_put(&b, SPAN("A=b\n"));
	buf_put(&b, SPAN("POSTERN_EVENT=session\n\n" ENTRY));
	begin(buf_span(&b));
	CHECK(next() == 1 && record.record.event == RECORD_EVENTS);
	CHECK(next() == 1);
	check_entry();
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_an_entry_becomes_a_record),
		TEST(test_an_entry_may_come_in_pieces),
		TEST(test_a_value_of_any_octets_is_one_value),
		TEST(test_what_is_no_record_is_told_apart),
		TEST(test_a_part_of_an_entry_is_none),
		TEST(test_a_field_that_is_too_long_is_left_out),
		TEST(test_a_cursor_that_is_too_long_is_none),
		TEST(test_what_is_no_export_is_an_error),
		TEST(test_the_number_of_fields_has_an_end),
	};

	return test_main(tests, TEST_COUNT(tests));
}
