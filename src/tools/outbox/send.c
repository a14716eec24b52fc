/* SPDX-License-Identifier: ISC */
/*
 * Runs sendmail(8), without a shell and with a minimal environment. No part of a report
 * can become an option of it, and it has a time limit.
 */
#include "tools/outbox/outbox.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "tools/job/job.h"

static struct timespec time_left(uint64_t until)
{
	uint64_t now = job_clock(), left = until > now ? until - now : 0;

	return (struct timespec){
		.tv_sec = (time_t)(left / JOB_SECOND),
		.tv_nsec = (long)(left % JOB_SECOND),
	};
}

bool outbox_wait(uint64_t until)
{
	sigset_t set = job_ending_signals();

	for (;;) {
		struct timespec left = time_left(until);
		if (sigtimedwait(&set, NULL, &left) > 0)
			return true;
		if (errno != EINTR)
			return false;
	}
}

/*
 * True when the child has ended. It is not reaped, so that its number is not reused. A
 * signal that ends this program stays pending.
 */
static bool has_ended(pid_t pid, uint64_t seconds)
{
	uint64_t until = job_clock() + seconds * JOB_SECOND;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (;;) {
		siginfo_t info = { 0 };
		struct timespec left = time_left(until);
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			info.si_pid == pid)
			return true;
		if (left.tv_sec == 0 && left.tv_nsec == 0)
			return false;
		sigtimedwait(&set, NULL, &left);
	}
}

enum end {
	END_ITSELF,
	END_FORCED,
	END_NONE, /* it did not end: this user cannot kill a set-user-ID program */
};

/*
 * Waits for the end, and after the time limit sends SIGTERM and SIGKILL to the process
 * group.
 */
static enum end await_end(pid_t pid, uint64_t seconds, int *ret_status)
{
	enum end end = has_ended(pid, seconds) ? END_ITSELF : END_FORCED;

	if (end == END_FORCED) {
		kill(-pid, SIGTERM);
		has_ended(pid, JOB_GRACE_SECONDS);
		kill(-pid, SIGKILL);
		if (!has_ended(pid, JOB_GRACE_SECONDS))
			return END_NONE;
	}
	waitpid(pid, ret_status, 0);
	return end;
}

/* True for permanent failures of sysexits(3). All others may be temporary. */
static bool is_final(int status)
{
	return status == EX_DATAERR || status == EX_NOUSER || status == EX_NOHOST;
}

static void put_why(struct buf *why, const char *before, uint64_t n, const char *after)
{
	buf_put_str(why, before);
	buf_put_num(why, n);
	buf_put_str(why, after);
}

static enum outbox_sent result_of(
	enum end end, int status, uint64_t seconds, struct buf *why)
{
	if (end == END_NONE) {
		put_why(why, "sendmail does not end, for ", seconds,
			" seconds, and cannot be stopped");
		return OUTBOX_LATER;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return OUTBOX_SENT;
	if (end == END_FORCED)
		put_why(why, "sendmail did not end for ", seconds,
			" seconds, and was stopped");
	else if (WIFSIGNALED(status))
		put_why(why, "sendmail was ended by signal ", (uint64_t)WTERMSIG(status),
			"");
	else
		put_why(why, "sendmail exited with status ",
			(uint64_t)WEXITSTATUS(status), "");
	return end == END_ITSELF && WIFEXITED(status) && is_final(WEXITSTATUS(status))
		       ? OUTBOX_REFUSED
		       : OUTBOX_LATER;
}

static int start(const char *path, const char *const *argv, int file, pid_t *ret_pid)
{
	static const char *const environment[] = {
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C",
		NULL,
	};

	return job_start(
		&(struct job_program){
			.path = path,
			.argv = (char *const *)argv,
			.environment = (char *const *)environment,
			.in = file,
			.out = STDERR_FILENO,
			.err = STDERR_FILENO,
		},
		ret_pid);
}

enum outbox_sent outbox_send(const struct outbox_sendmail *sendmail, int file,
	const char *address, struct buf *why)
{
	const char *argv[] = { "sendmail", "-i", "-f", "<>", "--", address, NULL };
	int status = 0, error;
	enum end end;
	pid_t pid;

	error = start(sendmail->path, argv, file, &pid);
	if (error) {
		buf_put_str(why, "sendmail cannot be run: ");
		buf_put_str(why, strerror(-error));
		return OUTBOX_LATER;
	}
	end = await_end(pid, sendmail->seconds, &status);
	return result_of(end, status, sendmail->seconds, why);
}
