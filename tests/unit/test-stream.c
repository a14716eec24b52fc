/* SPDX-License-Identifier: ISC */
/* edge/net/stream: a wait ends early only by a signal or the end of the session. */
#include "edge/net/net.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "unit/test.h"

#define FAR 3600000 /* milliseconds: a test that waits for it never ends */
#define MUCH (4 * 1024 * 1024) /* more than a pipe or a socket keeps */

/* The peer has closed: a wait for input would be over at once. */
static void begin(struct stream *s, uint64_t session_timeout)
{
	int ends[2];

	stream_block_stop_signals();
	REQUIRE(pipe(ends) == 0);
	close(ends[1]);
	REQUIRE(stream_init(s, ends[0], STDOUT_FILENO, 1, session_timeout) == 0);
}

static void end(struct stream *s)
{
	close(s->in);
	stream_done(s);
}

static void test_it_waits_as_long_as_it_is_told(void)
{
	struct stream s;
	uint64_t until;

	begin(&s, FAR);
	until = stream_clock() + 20;
	CHECK(stream_wait(&s, until) == 0 && stream_clock() >= until);
	CHECK(stream_wait(&s, until) == 0);
	CHECK(stream_wait(&s, 0) == 0);
	end(&s);
}

static void test_the_end_of_the_session_comes_first(void)
{
	struct stream s;

	begin(&s, 0);
	CHECK(stream_wait(&s, stream_clock() + FAR) == STREAM_TOO_LONG);
	end(&s);
}

/* Half a line that stays is moved to the front, and is not where it was; in one piece or over itself. */
static void test_what_is_left_is_in_one_place(void)
{
	static const char *const taken[] = { "", "x", "AUTH PLAIN\r\n" };

	for (size_t i = 0; i < TEST_COUNT(taken); i++) {
		char input[64];
		size_t n_taken = strlen(taken[i]);
		struct stream s;
		int ends[2];
		int n = snprintf(input, sizeof(input), "%sc2VjcmV0", taken[i]);
		REQUIRE(pipe(ends) == 0);
		REQUIRE(stream_init(&s, ends[0], STDOUT_FILENO, 1, FAR) == 0);
		REQUIRE(write(ends[1], input, (size_t)n) == n);
		REQUIRE(stream_fill(&s) == n);
		s.have = (struct bytes){ s.have.p + n_taken, s.have.n - n_taken };
		REQUIRE(write(ends[1], "!", 1) == 1);
		REQUIRE(stream_fill(&s) == 1);
		CHECK(s.have.p == s.octets && s.have.n == 9);
		CHECK(memcmp(s.octets, "c2VjcmV0!", 9) == 0);
		CHECK(!memmem(s.octets + 9, STREAM_IN_MAX - 9, "V0", 2));
		close(ends[1]);
		end(&s);
	}
}

static void test_a_signal_is_seen(void)
{
	struct stream s;

	begin(&s, FAR);
	REQUIRE(raise(SIGTERM) == 0);
	CHECK(stream_wait(&s, stream_clock() + FAR) == STREAM_STOP);
	end(&s);
}

static int make_socket(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

/* The kinds of connections: { to read from, to write to }. */
static int (*const kinds[])(int[2]) = { pipe, make_socket };

static void begin_to_write(struct stream *s, int ends[2], struct buf *out)
{
	REQUIRE(stream_init(s, ends[0], ends[1], 1, FAR) == 0);
	*out = (struct buf){ .p = malloc(MUCH), .cap = MUCH, .n = MUCH };
	REQUIRE(out->p != NULL);
	for (size_t i = 0; i < MUCH; i++)
		out->p[i] = (char)(i % 251);
}

static void end_writing(struct stream *s, struct buf *out)
{
	free(out->p);
	close(s->out);
	end(s);
}

static void test_who_does_not_read_is_waited_for_so_long(void)
{
	for (size_t i = 0; i < TEST_COUNT(kinds); i++) {
		struct stream s;
		struct buf out;
		int ends[2];
		uint64_t until = stream_clock() + 20;

		REQUIRE(kinds[i](ends) == 0);
		begin_to_write(&s, ends, &out);
		s.timeout = 20;
		CHECK(stream_flush(&s, &out) == STREAM_TIMEOUT);
		CHECK(stream_clock() >= until);
		s.deadline = stream_clock();
		out.n = MUCH;
		CHECK(stream_flush(&s, &out) == STREAM_TOO_LONG);
		end_writing(&s, &out);
	}
}

/* 0 when all of it comes, in its order. */
static int read_all(int fd)
{
	static char got[64 * 1024];
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, got, sizeof(got))) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			if (got[i] != (char)(at % 251))
				return 1;
	return at == MUCH ? 0 : 2;
}

static void test_who_reads_late_gets_all(void)
{
	for (size_t i = 0; i < TEST_COUNT(kinds); i++) {
		struct stream s;
		struct buf out;
		int ends[2], status;
		pid_t reader;

		REQUIRE(kinds[i](ends) == 0);
		begin_to_write(&s, ends, &out);
		reader = fork();
		REQUIRE(reader >= 0);
		if (reader == 0) {
			close(ends[1]);
			usleep(20000);
			_exit(read_all(ends[0]));
		}
		CHECK(stream_flush(&s, &out) == 0 && out.n == 0);
		end_writing(&s, &out);
		CHECK(waitpid(reader, &status, 0) == reader && status == 0);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_it_waits_as_long_as_it_is_told),
		TEST(test_the_end_of_the_session_comes_first),
		TEST(test_what_is_left_is_in_one_place),
		TEST(test_a_signal_is_seen),
		TEST(test_who_does_not_read_is_waited_for_so_long),
		TEST(test_who_reads_late_gets_all),
	};

	return test_main(tests, TEST_COUNT(tests));
}
