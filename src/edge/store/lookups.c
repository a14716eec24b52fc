/* SPDX-License-Identifier: ISC */
/*
 * Calls the name services. A module of theirs may wait for a server, hang or crash; so
 * each question is asked in a process that can be killed, and others go on meanwhile.
 * Names that were found before have processes of their own: clients can make up any
 * number of other names, and a service may be slow for each.
 */
#include "edge/store/lookups.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "edge/net/net.h"
#include "edge/sandbox/sandbox.h"

/*
 * Milliseconds. A recipient asks for up to four names, and a connection waits for its
 * broker for a minute.
 */
#define ANSWER_WAIT 10000 /* for one name; its process is then killed */
#define QUEUE_WAIT 4000 /* until a process is free */

#define WORKERS_MAX 16 /* questions that are asked at once */
#define RESERVED 4 /* of them, for names that were found before */
#define QUEUE_MAX 1024 /* questions that wait; more are answered with -EBUSY */
#define FOUND_MAX 1024 /* names that are remembered */
#define ENTRY_MAX (16 * 1024) /* octets of the strings of one user */

struct worker {
	pid_t pid; /* 0: there is none */
	int channel;
	bool is_busy;
	bool is_killed; /* its end is still to come: a system call may hold it up */
	bool is_reaped; /* its number may be that of another process */
	uint64_t due; /* by stream_clock() */
	struct lookup_question question;
};

struct waiting {
	uint64_t due;
	struct lookup_question question;
};

struct lookups {
	int channel; /* to the broker */
	struct worker workers[WORKERS_MAX];
	struct waiting queue[QUEUE_MAX]; /* the oldest first */
	size_t n_queued;
	char found[FOUND_MAX][USERS_NAME_MAX]; /* by their hash */
};

/*
 * Looks for root, whom every system has. A service that is missing, or a passwd file that
 * cannot be read, is no error of getpwnam_r(), but then no user is found.
 */
static bool finds_root(char *room, size_t n)
{
	struct passwd own, *root = NULL;

	return getpwuid_r(0, &own, room, n, &root) == 0 && root;
}

int lookups_find(const char *name, struct user *ret)
{
	struct passwd own, *pw = NULL;
	char room[ENTRY_MAX];
	int r = -getpwnam_r(name, &own, room, sizeof(room), &pw), n;

	if (!pw) {
		/*
		 * these are errors of a socket or file; each has another meaning for
		 * callers
		 */
		if (r == -ENOENT || r == -EINPROGRESS ||
			(r == 0 && !finds_root(room, sizeof(room))))
			return -EHOSTUNREACH;
		return r < 0 ? r : -ENOENT;
	}
	n = snprintf(ret->home, sizeof(ret->home), "%s", pw->pw_dir ? pw->pw_dir : "");
	if (n < 0 || (size_t)n >= sizeof(ret->home))
		return -ENAMETOOLONG;
	ret->uid = pw->pw_uid;
	return 0;
}

/* Leaves standard input, which becomes the channel, and both outputs. 0 or -errno. */
static int keep_channel(int channel)
{
	if (dup2(channel, STDIN_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		return -errno;
	return 0;
}

/* In the process of a worker: answers one question after the other. Its exit status. */
static int work(int channel, pid_t parent)
{
	struct lookup_question q;

	prctl(PR_SET_NAME, "postern-lookup");
	/* it ends with its parent even in the middle of a module */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
		keep_channel(channel) < 0)
		return EX_OSERR;
	while (recv(STDIN_FILENO, &q, sizeof(q), 0) == sizeof(q)) {
		struct lookup_answer a = { .id = q.id };

		q.name[sizeof(q.name) - 1] = '\0';
		a.error = lookups_find(q.name, &a.user);
		if (send(STDIN_FILENO, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
			break;
	}
	return 0;
}

/* Starts a process in the free place. 0 or -errno. */
static int start(struct worker *w)
{
	const pid_t own = getpid();
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		_exit(work(ends[1], own));
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	*w = (struct worker){ .pid = pid, .channel = ends[0] };
	return 0;
}

static void forget(struct worker *w)
{
	/* a module may have closed its channel, and hang */
	if (!w->is_reaped)
		kill(w->pid, SIGKILL);
	close(w->channel);
	*w = (struct worker){ .pid = 0 };
}

/* The broker reads each answer at once, unless a file system holds it up. */
static void give_answer(const struct lookups *l, const struct lookup_answer *a)
{
	while (send(l->channel, a, sizeof(*a), MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static void answer_error(const struct lookups *l, uint32_t id, int error)
{
	const struct lookup_answer a = { .id = id, .error = error };

	give_answer(l, &a);
}

/* The place of a name among those that are remembered. */
static char *place_of(struct lookups *l, const char *name)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (const char *p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619U;
	return l->found[hash % FOUND_MAX];
}

static bool was_found(struct lookups *l, const char *name)
{
	return *name && strcmp(place_of(l, name), name) == 0;
}

/* A process without work, which may have to be started; NULL: there is none. */
static struct worker *find_idle(struct lookups *l, size_t *ret_n_busy)
{
	struct worker *idle = NULL;

	*ret_n_busy = 0;
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		struct worker *w = &l->workers[i];
		if (w->is_busy || w->is_killed)
			(*ret_n_busy)++;
		else if (!idle || (w->pid && !idle->pid))
			idle = w;
	}
	return idle;
}

static void remove_waiting(struct lookups *l, size_t i)
{
	l->n_queued--;
	memmove(&l->queue[i], &l->queue[i + 1], (l->n_queued - i) * sizeof(*l->queue));
}

/* Gives the question to the process. 0 or -errno. */
static int ask(struct worker *w, const struct lookup_question *q)
{
	int r = w->pid ? 0 : start(w);

	if (r == 0)
		r = channel_send(w->channel, q, sizeof(*q), NULL, 0);
	if (r < 0)
		return r;
	w->is_busy = true;
	w->due = stream_clock() + ANSWER_WAIT;
	w->question = *q;
	return 0;
}

/* Gives questions that wait to processes that are free. */
static void give_out(struct lookups *l)
{
	for (size_t i = 0; i < l->n_queued;) {
		const struct lookup_question *q = &l->queue[i].question;
		size_t n_busy;
		struct worker *w = find_idle(l, &n_busy);
		int r;

		if (!w)
			return;
		if (n_busy >= WORKERS_MAX - RESERVED && !was_found(l, q->name)) {
			i++;
			continue;
		}
		r = ask(w, q);
		if (r < 0)
			answer_error(l, q->id, r);
		remove_waiting(l, i);
	}
}

/* Takes a question. False: the broker has ended. */
static bool take_question(struct lookups *l)
{
	struct lookup_question q;
	ssize_t n = recv(l->channel, &q, sizeof(q), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n != sizeof(q))
		return false;
	q.name[sizeof(q.name) - 1] = '\0';
	if (l->n_queued == QUEUE_MAX)
		answer_error(l, q.id, -EBUSY);
	else
		l->queue[l->n_queued++] =
			(struct waiting){ stream_clock() + QUEUE_WAIT, q };
	return true;
}

/* Answers the question of a process that has ended. */
static void lose(struct lookups *l, struct worker *w)
{
	if (w->is_busy)
		answer_error(l, w->question.id, -ECHILD);
	forget(w);
}

/* Passes an answer on, or notes the end of the process. */
static void take_answer(struct lookups *l, struct worker *w)
{
	struct lookup_answer a;
	ssize_t n = recv(w->channel, &a, sizeof(a), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(a)) {
		lose(l, w);
		return;
	}
	if (!w->is_busy) /* it was killed while this was on its way */
		return;
	w->is_busy = false;
	a.id = w->question.id;
	if (a.error == 0)
		memcpy(place_of(l, w->question.name), w->question.name,
			sizeof(w->question.name));
	give_answer(l, &a);
}

/*
 * Reaps processes that have ended, and forgets them at once: from then on their numbers
 * may be those of other processes, which must get no signal. The last answer of such a
 * process still counts. It can have ended after poll(), so that its channel has not been
 * read; and a process that a module has started may keep that channel open.
 */
static void reap(struct lookups *l)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < WORKERS_MAX; i++) {
			struct worker *w = &l->workers[i];
			if (w->pid != pid)
				continue;
			w->is_reaped = true;
			take_answer(l, w);
			if (w->pid)
				lose(l, w);
		}
}

/* Answers questions whose time is over. */
static void expire(struct lookups *l)
{
	const uint64_t now = stream_clock();

	for (size_t i = 0; i < WORKERS_MAX; i++) {
		struct worker *w = &l->workers[i];
		if (!w->is_busy || w->due > now)
			continue;
		kill(w->pid, SIGKILL);
		w->is_killed = true;
		w->is_busy = false;
		answer_error(l, w->question.id, -ETIMEDOUT);
	}
	while (l->n_queued && l->queue[0].due <= now) {
		answer_error(l, l->queue[0].question.id, -EBUSY);
		remove_waiting(l, 0);
	}
}

/* Milliseconds until the first time is over; -1: there is none. */
static int time_left(const struct lookups *l)
{
	uint64_t now = stream_clock(), due = l->n_queued ? l->queue[0].due : UINT64_MAX;

	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (l->workers[i].is_busy && l->workers[i].due < due)
			due = l->workers[i].due;
	return due == UINT64_MAX ? -1 : due > now ? (int)(due - now) : 0;
}

static int loop(struct lookups *l)
{
	struct pollfd fds[1 + WORKERS_MAX];

	for (;;) {
		fds[0] = (struct pollfd){ .fd = l->channel, .events = POLLIN };
		for (size_t i = 0; i < WORKERS_MAX; i++)
			fds[1 + i] = (struct pollfd){ .events = POLLIN,
				.fd = l->workers[i].pid ? l->workers[i].channel : -1 };
		if (poll(fds, 1 + WORKERS_MAX, time_left(l)) < 0 && errno != EINTR)
			return EX_OSERR;
		for (size_t i = 0; i < WORKERS_MAX; i++)
			if (fds[1 + i].revents)
				take_answer(l, &l->workers[i]);
		if (fds[0].revents && !take_question(l))
			return 0;
		reap(l);
		expire(l);
		give_out(l);
	}
}

int lookups_run_apart(int channel, const char *as)
{
	char *const arguments[] = { (char *)LOOKUPS_NAME, (char *)as, NULL };

	if (keep_channel(channel) < 0)
		return EX_OSERR;
	execve("/proc/self/exe", arguments, environ);
	return EX_OSERR;
}

int lookups_run(int channel, const char *as)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct lookups *l;
	int status;

	prctl(PR_SET_NAME, LOOKUPS_NAME);
	/* the channel may be standard input already */
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return EX_OSERR;
	if (keep_channel(channel) < 0)
		return EX_OSERR;
	if (sandbox_user(as) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return EX_NOPERM;
	l = calloc(1, sizeof(*l));
	if (!l)
		return EX_OSERR;
	l->channel = STDIN_FILENO;
	status = loop(l);
	free(l);
	return status;
}
