/* SPDX-License-Identifier: ISC */
/* bin/listen/children: a full list drops its oldest process, and only for a new one. */
#include "bin/listen/listener.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "unit/test.h"

#define FROM 100

/* Each lives until its channel is closed. The number of the new process, or -errno. */
static pid_t fork_one(struct acceptors *a)
{
	int channel;
	pid_t pid = acceptors_fork(a, &channel);
	struct pollfd fd;

	if (pid != 0)
		return pid;
	fd = (struct pollfd){ .fd = channel, .events = POLLIN };
	poll(&fd, 1, -1);
	_exit(0);
}

static void fill(struct acceptors *a)
{
	*a = (struct acceptors){ .from = FROM };
	for (size_t i = 0; i < ACCEPTORS_MAX; i++)
		REQUIRE(fork_one(a) > 0);
}

static void end_all(struct acceptors *a)
{
	enum acceptor_state state;

	while (a->n) {
		pid_t pid = a->list[0].pid;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		acceptors_remove(a, pid, &state);
	}
}

static void test_one_more_ends_the_oldest(void)
{
	struct acceptors a;
	pid_t oldest, second, last;
	int status = -1;

	fill(&a);
	oldest = a.list[0].pid;
	second = a.list[1].pid;
	last = fork_one(&a);
	CHECK(last > 0);
	CHECK(a.n == ACCEPTORS_MAX);
	CHECK(a.list[0].pid == second && a.list[ACCEPTORS_MAX - 1].pid == last);
	CHECK(waitpid(oldest, &status, 0) == oldest && status == 0);
	end_all(&a);
}

/* Its connections would be given up for a successor that there is not. */
static void test_a_fork_that_fails_ends_none(void)
{
	struct rlimit before, less;
	struct acceptors a;
	pid_t oldest;

	fill(&a);
	oldest = a.list[0].pid;
	REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
	less = before;
	less.rlim_cur = FROM;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &less) == 0);
	CHECK(fork_one(&a) < 0);
	REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(a.n == ACCEPTORS_MAX);
	CHECK(a.list[0].pid == oldest);
	CHECK(waitpid(oldest, NULL, WNOHANG) == 0);
	end_all(&a);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_one_more_ends_the_oldest),
		TEST(test_a_fork_that_fails_ends_none),
	};

	return test_main(tests, TEST_COUNT(tests));
}
