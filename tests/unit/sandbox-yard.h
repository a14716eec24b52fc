/* SPDX-License-Identifier: ISC */
/* A mail root, modules and other files, and attempts that are made inside the sandbox. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "edge/sandbox/sandbox.h"
#include "unit/test.h"

#define YARD_PATH 128

#define WORKS 0
#define DIES(signal) (-(signal))
#define KILLED DIES(SIGSYS)
#define NOT_ENTERED 255 /* an exit code; the others are errno */
#define BY_SIGNAL 180 /* and that of a signal that ended another */

/* The ABI of Landlock that denies it: any that serves, or a later one. */
#define LANDLOCK 2
#define LANDLOCK_SCOPE 6

enum yard_stage {
	STAGE_A,
	STAGE_B,
};

struct yard {
	/* with mail/{a,b}/{tmp,new,cur}, modules/module, outside/file */
	char base[YARD_PATH];
	char mail[YARD_PATH];
	char modules[YARD_PATH];
	struct sandbox_dirs dirs;
	int dir; /* base */
	int program; /* a file with code */
	int tcp; /* a socket that is not connected */
	int connected; /* the client's, over the loopback interface */
	int log; /* a datagram socket outside, with a name */
	struct sockaddr_un log_name;
	int ends[2]; /* a connection */
	pid_t parent;
	long call; /* for an attempt that is a call by number */
};

struct attempt {
	const char *what;
	int (*act)(const struct yard *y); /* 0 or errno */
	int in_a;
	int in_b;
	int needs; /* an ABI of Landlock, or 0 */
};

static inline int errno_of(long r)
{
	return r < 0 ? errno : 0;
}

static inline int enter_stage(const struct yard *y, enum yard_stage stage)
{
	struct sandbox_report report;
	int r = sandbox_enter(&y->dirs, &report);

	return r == 0 && stage == STAGE_B ? sandbox_tighten(&y->dirs) : r;
}

/* Returns the result of an act in a child, or the negative number of the signal that ended it. */
static inline int outcome(pid_t pid)
{
	int status = 0;

	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? DIES(WTERMSIG(status)) : WEXITSTATUS(status);
}

/* The act enters what it will by itself. */
static inline int attempt_out(const struct yard *y, int (*act)(const struct yard *y))
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(act(y));
	return outcome(pid);
}

static inline int attempt_in(
	const struct yard *y, enum yard_stage stage, int (*act)(const struct yard *y))
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(enter_stage(y, stage) == 0 ? act(y) : NOT_ENTERED);
	return outcome(pid);
}

/* Runs an act in a process that an acceptor forked, with or without all modules loaded. */
static inline int attempt_forked(
	const struct yard *y, bool loaded, int (*act)(const struct yard *y))
{
	struct sandbox_dirs dirs = y->dirs;
	struct sandbox_report report;
	int result;
	pid_t pid = fork();

	if (pid != 0) {
		result = outcome(pid);
		return result > BY_SIGNAL && result < NOT_ENTERED
			       ? DIES(result - BY_SIGNAL)
			       : result;
	}
	dirs.loaded = loaded;
	if (loaded)
		dirs.n_read = 0;
	if (sandbox_enter_accepting(&dirs, &report) < 0)
		_exit(NOT_ENTERED);
	pid = fork();
	if (pid == 0)
		_exit(sandbox_enter_forked() == 0 ? act(y) : NOT_ENTERED);
	result = outcome(pid);
	_exit(result < 0 ? BY_SIGNAL - result : result);
}

static inline int act_nothing(const struct yard *y)
{
	(void)y;
	return 0;
}

static inline int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	return abi < LANDLOCK ? 0 : (int)abi;
}

/* Its queue is short. */
static inline void empty_log(const struct yard *y)
{
	char octet;

	while (recv(y->log, &octet, sizeof(octet), MSG_DONTWAIT) >= 0)
		continue;
}

static inline bool attempt_one(const struct yard *y, const struct attempt *a)
{
	int in_a = attempt_in(y, STAGE_A, a->act);
	int in_b = attempt_in(y, STAGE_B, a->act);
	int forked_a = attempt_forked(y, false, a->act);
	int forked_b = attempt_forked(y, true, a->act);

	empty_log(y);
	if (CHECK(in_a == a->in_a && in_b == a->in_b && forked_a == a->in_a &&
		    forked_b == a->in_b))
		return true;
	fprintf(stderr,
		"\t%s, ABI %d: A %d, forked %d, not %d; B %d, forked %d, not %d\n",
		a->what, y->dirs.abi, in_a, forked_a, a->in_a, in_b, forked_b, a->in_b);
	return false;
}

/* True when every one went as expected: under each ABI of Landlock that denies it, up to the kernel's. */
static inline bool attempt_all(const struct yard *y, const struct attempt *list, size_t n)
{
	int newest = landlock_abi();
	bool good = true;

	for (const struct attempt *a = list; a < list + n; a++) {
		struct yard older = *y;
		int abi = a->needs ? a->needs : newest;

		for (; abi <= newest; abi++) {
			older.dirs.abi = abi;
			good &= attempt_one(&older, a);
		}
	}
	return good;
}

static inline void yard_file(const struct yard *y, const char *path)
{
	int fd = openat(y->dir, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0 && write(fd, "text\n", 5) == 5);
	close(fd);
}

static inline void yard_log(struct yard *y)
{
	y->log_name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(y->log_name.sun_path, sizeof(y->log_name.sun_path), "%.80s/outside/log",
		y->base);
	y->log = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	REQUIRE(bind(y->log, (struct sockaddr *)&y->log_name, sizeof(y->log_name)) == 0);
}

/* A connection like a client's, of which only one end is kept. */
static inline void yard_client(struct yard *y)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(here);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE(bind(listening, (struct sockaddr *)&here, n) == 0);
	REQUIRE(listen(listening, 1) == 0);
	REQUIRE(getsockname(listening, (struct sockaddr *)&here, &n) == 0);
	REQUIRE(connect(client, (struct sockaddr *)&here, n) == 0);
	y->connected = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	REQUIRE(y->connected >= 0);
	close(listening);
	close(client);
}

static inline void yard_init(struct yard *y)
{
	static const char *const dirs[] = { "mail", "mail/a", "mail/a/tmp", "mail/a/new",
		"mail/a/cur", "mail/b", "mail/b/tmp", "mail/b/new", "mail/b/cur",
		"modules", "outside", "outside/dir" };
	const char *tmp = getenv("TMPDIR");

	*y = (struct yard){ .parent = getpid() };
	snprintf(y->base, 80, "%s/sandbox.XXXXXX", tmp ? tmp : "/tmp");
	REQUIRE(mkdtemp(y->base) != NULL);
	snprintf(y->mail, YARD_PATH, "%.80s/mail", y->base);
	snprintf(y->modules, YARD_PATH, "%.80s/modules", y->base);
	y->dir = open(y->base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < TEST_COUNT(dirs); i++)
		REQUIRE(mkdirat(y->dir, dirs[i], 0700) == 0);
	yard_file(y, "modules/module");
	yard_file(y, "outside/file");
	yard_file(y, "mail/a/new/old");
	y->dirs = (struct sandbox_dirs){ .write = { { y->mail, -1, false } },
		.n_write = 1,
		.read = { y->modules },
		.n_read = 1,
		.tls = true };
	y->program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	y->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(y->dir >= 0 && y->program >= 0 && y->tcp >= 0);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, y->ends) == 0);
	yard_log(y);
	yard_client(y);
}

static inline int yard_remove(
	const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void yard_done(struct yard *y)
{
	CHECK(nftw(y->base, yard_remove, 16, FTW_DEPTH | FTW_PHYS) == 0);
	close(y->dir);
	close(y->program);
	close(y->tcp);
	close(y->connected);
	close(y->log);
	close(y->ends[0]);
	close(y->ends[1]);
}

/* A table of attempts in a yard of its own. */
static inline void yard_attempt(const struct attempt *list, size_t n)
{
	struct yard y;

	yard_init(&y);
	attempt_all(&y, list, n);
	yard_done(&y);
}

/* The tests, unless there is no seccomp: under valgrind, or in a kernel without it. */
static inline int yard_main(const struct test *tests, size_t n)
{
	struct yard y = { 0 };

	if (attempt_in(&y, STAGE_A, act_nothing) == NOT_ENTERED &&
		syscall(SYS_seccomp, 2, 0, &(uint32_t){ 0 }) < 0 && errno == ENOSYS) {
		puts("1..0 # SKIP no seccomp here");
		return 0;
	}
	return test_main(tests, n);
}

/* LeakSanitizer would clone itself in a child that exits. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
