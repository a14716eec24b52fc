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
		TEST(test_a_signal_is_seen),
	};

	return test_main(tests, TEST_COUNT(tests));
}
