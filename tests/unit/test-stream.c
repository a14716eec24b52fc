/* edge/stream: a wait that nobody but a signal or the session's own end cuts short. */
#include "edge/stream.h"
#include <signal.h>
#include <unistd.h>
#include "unit/test.h"

#define FAR 3600000 /* milliseconds: a test that waits for it never ends */

/* The peer has closed: a wait for input would be over at once. */
static void begin(struct stream *s, uint64_t session_timeout)
{
	int ends[2];

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

int main(void)
{
	static const struct test tests[] = {
		TEST(test_it_waits_as_long_as_it_is_told),
		TEST(test_the_end_of_the_session_comes_first),
		TEST(test_what_is_left_is_in_one_place),
		TEST(test_a_signal_is_seen),
	};

	return test_main(tests, TEST_COUNT(tests));
}
