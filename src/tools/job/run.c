/* SPDX-License-Identifier: ISC */
/*
 * Runs programs, without a shell. Signals are received only by the functions that wait
 * for them. A program starts without blocked or ignored signals.
 */
#include "tools/job/job.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t job_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * JOB_SECOND + (uint64_t)now.tv_nsec;
}

sigset_t job_ending_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return set;
}

void job_block_signals(void)
{
	sigset_t set = job_ending_signals();

	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	/* an ignored SIGCHLD would lose the exit status of the child */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
}

/* In the new process: becomes the program. Returns errno. */
static int become(const struct job_program *p, pid_t parent)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigemptyset(&none);
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &standard, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setpgid(0, 0) < 0 ||
		dup2(p->in, STDIN_FILENO) < 0 || dup2(p->out, STDOUT_FILENO) < 0 ||
		dup2(p->err, STDERR_FILENO) < 0)
		return errno;
	/* the parent may have ended before the first of these calls */
	if (getppid() != parent)
		return ESRCH;
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvpe(p->path, p->argv, p->environment);
	return errno;
}

/* posix_spawn() cannot tie a process to its parent. 0 or -errno. */
static int start_tied(const struct job_program *program, pid_t *ret_pid)
{
	pid_t parent = getpid(), pid;
	int failure[2], error = 0;

	/* it is closed when the program runs */
	if (pipe2(failure, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		error = become(program, parent);
		_exit(write(failure[1], &error, sizeof(error)) < 0);
	}
	if (pid < 0)
		error = errno;
	close(failure[1]);
	if (pid > 0 && read(failure[0], &error, sizeof(error)) > 0)
		waitpid(pid, NULL, 0);
	close(failure[0]);
	if (error == 0)
		*ret_pid = pid;
	return -error;
}

int job_start(const struct job_program *program, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int error;

	if (program->ends_with_us)
		return start_tied(program, ret_pid);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&actions, program->in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, program->out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, program->err, STDERR_FILENO);
	posix_spawnattr_setflags(&attributes,
		POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	error = posix_spawnp(ret_pid, program->path, &actions, &attributes, program->argv,
		program->environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

void job_open_descriptors(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR);
	close_range(STDERR_FILENO + 1, UINT_MAX, 0);
}

const char *job_value_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return strncmp(word, name, n) == 0 ? word + n : NULL;
}
