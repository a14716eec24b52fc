/* SPDX-License-Identifier: ISC */
/* edge/log/log: a stuck sink costs a limited time, and later gets records again, with the number of lost ones. */
#include "edge/log/log.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "edge/net/net.h"
#include "unit/test.h"

#define TEXT_SIZE 65536

/* A pipe as descriptor 2, which the log writes to. */
struct reader {
	int fd;
	int kept; /* what descriptor 2 was */
	char text[TEXT_SIZE];
};

static void begin(struct reader *r, struct log *l)
{
	int ends[2];

	fflush(stderr);
	REQUIRE(pipe(ends) == 0);
	r->fd = ends[0];
	r->kept = dup(STDERR_FILENO);
	fcntl(r->fd, F_SETFL, O_NONBLOCK);
	REQUIRE(dup2(ends[1], STDERR_FILENO) >= 0);
	close(ends[1]);
	log_init(l, NULL, false);
}

static void end(struct reader *r, struct log *l)
{
	dup2(r->kept, STDERR_FILENO);
	close(r->kept);
	close(r->fd);
	log_done(l);
}

/* All that is in the pipe. */
static const char *take(struct reader *r)
{
	size_t n = 0;
	ssize_t got = 1;

	while (got > 0 && n < sizeof(r->text) - 1) {
		got = read(r->fd, r->text + n, sizeof(r->text) - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	r->text[n] = '\0';
	return r->text;
}

static void fill(void)
{
	static const char octets[4096];
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
	while (write(STDERR_FILENO, octets, sizeof(octets)) > 0)
		continue;
	fcntl(STDERR_FILENO, F_SETFL, flags);
}

static void empty(struct reader *r)
{
	while (read(r->fd, r->text, sizeof(r->text)) > 0)
		continue;
}

static void say(struct log *l, const char *text)
{
	log_error(l, text);
	log_flush(l);
}

/* Loses two records: one waits for its time, the other does not. */
static void get_stuck(struct log *l)
{
	uint64_t start = stream_clock();

	fill();
	say(l, "first");
	CHECK(stream_clock() - start >= LOG_STUCK);
	CHECK(l->n_lost == 1 && l->stuck_until > stream_clock());
	say(l, "second");
	CHECK(l->n_lost == 2);
}

/* It had stalled, and has room again. */
static void begin_stuck(struct reader *r, struct log *l)
{
	begin(r, l);
	get_stuck(l);
	empty(r);
}

static void test_a_log_that_is_read_again_gets_records_again(void)
{
	struct reader r;
	struct log l;
	const char *text;

	begin_stuck(&r, &l);
	l.stuck_until = stream_clock();
	say(&l, "third");
	say(&l, "fourth");
	text = take(&r);
	end(&r, &l);
	CHECK(strstr(text, "2 records of this process could not be written before"));
	CHECK(!strstr(text, "first") && !strstr(text, "second"));
	CHECK(strstr(text, "third") && strstr(text, "fourth"));
	CHECK(strstr(text, "could not") < strstr(text, "third"));
	CHECK(!strstr(strstr(text, "third"), "could not"));
}

static void test_nothing_waits_for_a_log_that_has_just_stalled(void)
{
	struct reader r;
	struct log l;

	begin_stuck(&r, &l);
	say(&l, "third");
	CHECK(l.n_lost == 3);
	CHECK(take(&r)[0] == '\0');
	end(&r, &l);
}

static void test_a_forked_process_tries_by_itself(void)
{
	struct reader r;
	struct log l;
	const char *text;

	begin_stuck(&r, &l);
	log_forked(&l);
	say(&l, "third");
	text = take(&r);
	end(&r, &l);
	CHECK(strstr(text, "third") && !strstr(text, "could not"));
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_log_that_is_read_again_gets_records_again),
		TEST(test_nothing_waits_for_a_log_that_has_just_stalled),
		TEST(test_a_forked_process_tries_by_itself),
	};

	return test_main(tests, TEST_COUNT(tests));
}
