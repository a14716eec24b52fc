/* SPDX-License-Identifier: ISC */
/*
 * Runs a program in which one system call fails, or before which its process is killed, and waits until all
 * processes that it has started have ended. The kernel asks this program about each call (seccomp user
 * notification), so sandboxes, changes of user and processes that cannot be traced are no obstacle.
 *
 *	inject REPORT - PROGRAM ARGUMENT...
 *	inject --calls		the calls that it knows, and plausible errors of each
 *	inject REPORT PROCESS:CALL:NTH:ERROR[:always] PROGRAM ARGUMENT...
 *
 * PROCESS counts in the order of the first call: 0 is the program. NTH counts the calls of that name in it, from 1.
 * ERROR is a number of errno, or 0: SIGKILL before the call. "always" means the later calls of that name in that
 * process, too. REPORT is a file: "call PROCESS NAME" for each call when nothing is injected, "hit PID" for the fault,
 * "end PROCESS STATUS" where a process was left to this one, and at last "cpu MILLISECONDS" of all processes. SIGTERM
 * goes to the program. The status is that of the program, or 128 and the number of its signal.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "inject-calls.h"

#define N_CALLS (sizeof(calls) / sizeof(*calls))
#define PROCESSES_MAX 256
#define NAME_MAX_LENGTH 32
#define USAGE                                                                            \
	"usage: inject REPORT -|PROCESS:CALL:NTH:ERROR[:always] PROGRAM ARGUMENT...\n"

struct fault {
	bool wanted, always;
	unsigned process, nth;
	char name[NAME_MAX_LENGTH];
	int error; /* 0: SIGKILL */
};

struct state {
	struct fault fault;
	FILE *report;
	pid_t program, pids[PROCESSES_MAX];
	unsigned n_pids, n_seen; /* processes; calls of that name in that process */
	int notify, status;
	bool hit;
};

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static const char *name_of(int number)
{
	for (size_t i = 0; i < N_CALLS; i++)
		if (calls[i].number == number)
			return calls[i].name;
	return "unknown";
}

static int list_calls(void)
{
	for (size_t i = 0; i < N_CALLS; i++) {
		fputs(calls[i].name, stdout);
		for (size_t k = 0; k < CALL_ERRORS_MAX && calls[i].errors[k]; k++)
			printf(" %d", calls[i].errors[k]);
		putchar('\n');
	}
	return 0;
}

/* In the program, before it is executed. Returns the descriptor of its notifications. */
static int ask_about_all(void)
{
	/* a return from a signal handler and an end cannot fail */
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_sigreturn
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sigreturn, 4, 0),
#endif
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		&program);
}

/* The program shares descriptors with this process until it is executed: the notifications' is visible here. */
static void start(struct state *s, char **argv)
{
	volatile int *fd = mmap(NULL, sizeof(*fd), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (fd == MAP_FAILED)
		die("mmap");
	*fd = -1;
	s->program = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (s->program < 0)
		die("clone");
	if (s->program == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (geteuid() != 0)
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		*fd = ask_about_all();
		if (*fd < 0)
			*fd = -2;
		else
			execv(argv[0], argv);
		_exit(127);
	}
	while (*fd == -1)
		sched_yield();
	s->notify = *fd;
	if (s->notify < 0) {
		fputs("inject: seccomp notifications are not possible here\n", stderr);
		exit(125);
	}
}

static unsigned process_of(struct state *s, pid_t pid)
{
	unsigned i = 0;

	while (i < s->n_pids && s->pids[i] != pid)
		i++;
	if (i == s->n_pids && i < PROCESSES_MAX)
		s->pids[s->n_pids++] = pid;
	return i;
}

static bool is_meant(struct state *s, unsigned process, const char *name)
{
	const struct fault *f = &s->fault;

	if (!f->wanted || process != f->process || strcmp(name, f->name) != 0)
		return false;
	s->n_seen++;
	return s->n_seen == f->nth || (f->always && s->n_seen > f->nth);
}

static void inject(struct state *s, const struct seccomp_notif *about,
	struct seccomp_notif_resp *answer)
{
	if (!s->hit)
		fprintf(s->report, "hit %d\n", (int)about->pid);
	s->hit = true;
	if (s->fault.error == 0) {
		kill((pid_t)about->pid, SIGKILL);
		return;
	}
	answer->flags = 0;
	/* brk() fails by an answer that is less than what was asked for */
	if (about->data.nr != SYS_brk)
		answer->error = -s->fault.error;
}

static void answer_one(struct state *s)
{
	struct seccomp_notif about = { 0 };
	struct seccomp_notif_resp answer = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	unsigned process;
	const char *name;

	if (ioctl(s->notify, SECCOMP_IOCTL_NOTIF_RECV, &about) < 0)
		return;
	/* the program's own execution is this process's doing */
	if (s->n_pids || about.data.nr != SYS_execve) {
		process = process_of(s, (pid_t)about.pid);
		name = name_of(about.data.nr);
		if (!s->fault.wanted)
			fprintf(s->report, "call %u %s %d\n", process, name,
				about.data.nr);
		if (is_meant(s, process, name))
			inject(s, &about, &answer);
	}
	answer.id = about.id;
	ioctl(s->notify, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static void reap(struct state *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
					     : WEXITSTATUS(status);
		if (pid == s->program)
			s->status = status;
		fprintf(s->report, "end %u %d\n", process_of(s, pid), status);
		fflush(s->report);
	}
}

static void serve(struct state *s, int signals)
{
	struct pollfd fds[] = { { .fd = s->notify, .events = POLLIN },
		{ .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;

	/* POLLHUP: the last process has ended */
	while (!(fds[0].revents & (POLLHUP | POLLERR))) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents & POLLIN)
			answer_one(s);
		if (fds[1].revents && read(signals, &info, sizeof(info)) > 0 &&
			info.ssi_signo == SIGTERM)
			kill(s->program, SIGTERM);
		reap(s);
	}
	/* its filter ends before the last process can be waited for */
	while (waitid(P_ALL, 0, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0)
		reap(s);
}

static bool parse(const char *text, struct fault *ret)
{
	char always[NAME_MAX_LENGTH] = "";
	int n = sscanf(text, "%u:%31[a-z0-9_]:%u:%d:%31s", &ret->process, ret->name,
		&ret->nth, &ret->error, always);

	ret->wanted = n >= 4;
	ret->always = n == 5 && strcmp(always, "always") == 0;
	return ret->wanted || strcmp(text, "-") == 0;
}

static void put_cpu(FILE *report)
{
	struct rusage used;

	getrusage(RUSAGE_CHILDREN, &used);
	fprintf(report, "cpu %ld\n",
		(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
			(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
}

int main(int argc, char **argv)
{
	static struct state s;
	sigset_t set;
	int signals;

	if (argc == 2 && strcmp(argv[1], "--calls") == 0)
		return list_calls();
	if (argc < 4 || !parse(argv[2], &s.fault)) {
		fputs(USAGE, stderr);
		return 64;
	}
	s.report = fopen(argv[1], "we");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	/* before the program is there: its descriptors are these until it is executed */
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!s.report || signals < 0)
		die(argv[1]);
	start(&s, argv + 3);
	serve(&s, signals);
	put_cpu(s.report);
	return fclose(s.report) == 0 ? s.status : 125;
}
