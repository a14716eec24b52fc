/* SPDX-License-Identifier: ISC */
/*
 * Counts the instructions that a program executes in user space, its start included, by stepping through
 * all of them: what `valgrind --tool=callgrind` does too, but with the kernel's own system calls, so that
 * a program which confines itself can be counted as it is.
 *
 *	count-instructions PROGRAM ARGUMENTS...		standard input is the program's
 *
 * The count goes to standard error as "instructions N". A repeated string instruction counts as often as
 * it repeats, as with callgrind.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Steps until the program ends; returns its wait status. */
static int step_through(pid_t pid, unsigned long *ret_count)
{
	unsigned long count = 0;
	int status, pass_on = 0;

	for (;;) {
		if (waitpid(pid, &status, 0) < 0)
			die("waitpid");
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) == SIGTRAP)
			count++;
		else
			pass_on = WSTOPSIG(status);
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(long)pass_on) < 0)
			die("ptrace");
		pass_on = 0;
	}
	*ret_count = count;
	return status;
}

int main(int argc, char **argv)
{
	unsigned long count;
	int status;
	pid_t pid;

	if (argc < 2) {
		fputs("usage: count-instructions PROGRAM ARGUMENTS...\n", stderr);
		return 64;
	}
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			die("ptrace");
		execv(argv[1], argv + 1);
		die(argv[1]);
	}
	status = step_through(pid, &count);
	fprintf(stderr, "instructions %lu\n", count);
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
		return 1;
	}
	return WEXITSTATUS(status);
}
