/* SPDX-License-Identifier: ISC */
/*
 * The first process of a container. When it ends, the kernel kills all others there, and
 * a listener ends before its connections do. Where postern is started as that process,
 * the listener is therefore a child of it; it passes signals on to the listener, and ends
 * after the last process.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bin/listen/listener.h"

#define FIRST_PID 1
#define BY_SIGNAL 128 /* and its number: as shells show the exit status */

static int exit_status(int how)
{
	return WIFEXITED(how) ? WEXITSTATUS(how) : BY_SIGNAL + WTERMSIG(how);
}

/* Waits for all children that there are, adopted ones included. */
static int outlive(pid_t listener, const sigset_t *signals)
{
	int status = 0;

	for (;;) {
		int signal = sigwaitinfo(signals, NULL), how;
		pid_t pid;

		if (signal > 0 && signal != SIGCHLD && listener > 0)
			kill(listener, signal);
		while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
			if (pid != listener)
				continue;
			status = exit_status(how);
			listener = 0;
		}
		if (pid < 0 && errno == ECHILD)
			return status;
	}
}

bool listen_outlive(const sigset_t *blocked, int *ret_status)
{
	pid_t listener;

	if (getpid() != FIRST_PID)
		return false;
	listener = fork();
	/* without a child it listens itself */
	if (listener <= 0)
		return false;
	close_range(STDERR_FILENO + 1, ~0U, 0);
	*ret_status = outlive(listener, blocked);
	return true;
}
