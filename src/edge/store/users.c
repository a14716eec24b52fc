/* SPDX-License-Identifier: ISC */
/*
 * Looks up users of the system by the name services, in a process of its own: its
 * questions and answers have one size each, and it has no file, no right and no client.
 */
#include "edge/store/users.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>
#include "edge/net/net.h"
#include "edge/sandbox/sandbox.h"

/*
 * Milliseconds for one name. The broker waits for it, and with it all that share the
 * broker; a name service of this host usually answers in less than one.
 */
#define ANSWER_WAIT 10000

#define ENTRY_MAX (16 * 1024) /* octets of the strings of one user */

struct question {
	char name[USERS_NAME_MAX];
};

struct response {
	int32_t error; /* 0, -ENOENT, or another -errno */
	struct user user;
};

/*
 * Looks for root, whom every system has. A service that is missing, or a passwd file that
 * cannot be read, is no error of getpwnam_r(), but then nobody is found.
 */
static bool finds_root(char *room, size_t n)
{
	struct passwd own, *root = NULL;

	return getpwuid_r(0, &own, room, n, &root) == 0 && root;
}

/* 0, -ENOENT: there is no such user; or another -errno: the name services have failed. */
static int look_up(const char *name, struct user *ret)
{
	struct passwd own, *pw = NULL;
	char room[ENTRY_MAX];
	int r = -getpwnam_r(name, &own, room, sizeof(room), &pw), n;

	if (!pw) {
		/* ENOENT is the error of a socket or file */
		if (r == -ENOENT || (r == 0 && !finds_root(room, sizeof(room))))
			return -EHOSTUNREACH;
		return r < 0 ? r : -ENOENT;
	}
	n = snprintf(ret->home, sizeof(ret->home), "%s", pw->pw_dir ? pw->pw_dir : "");
	if (n < 0 || (size_t)n >= sizeof(ret->home))
		return -ENAMETOOLONG;
	ret->uid = pw->pw_uid;
	return 0;
}

/* Answers until the channel ends. Its exit status. */
static int answer_all(int channel)
{
	struct question q;

	while (recv(channel, &q, sizeof(q), 0) == sizeof(q)) {
		struct response r = { .error = 0 };

		q.name[sizeof(q.name) - 1] = '\0';
		r.error = look_up(q.name, &r.user);
		if (send(channel, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
			break;
	}
	return 0;
}

/* In the new process. Its exit status. */
static int run(int channel, const char *as)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_NAME, "postern-users");
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return EX_OSERR;
	if (dup2(channel, STDIN_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		return EX_OSERR;
	if (sandbox_user(as) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return EX_NOPERM;
	return answer_all(STDIN_FILENO);
}

int users_start(struct users *u, const char *as)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		_exit(run(ends[1], as));
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	u->channel = ends[0];
	return 0;
}

bool users_have_ended(const struct users *u)
{
	return u->channel < -1;
}

/* No further question is asked: the broker ends, and another one is started. */
static int give_up(struct users *u, int error)
{
	close(u->channel);
	u->channel = error < -1 ? error : -ECONNRESET;
	return u->channel;
}

/* Takes an answer that is there. 0, -EAGAIN, or another -errno. */
static int take(struct users *u, struct response *ret)
{
	size_t n_fds;
	ssize_t n = channel_receive(u->channel, ret, sizeof(*ret), NULL, 0, &n_fds);

	if (n == -EAGAIN)
		return -EAGAIN;
	u->is_late = false;
	return n == sizeof(*ret) ? 0 : give_up(u, n < 0 ? (int)n : -ECONNRESET);
}

/*
 * One question at a time, so an answer belongs to it. While one is late, no other is
 * asked: a name service that hangs holds up the mailboxes of a broker once.
 */
static int ask(struct users *u, const struct question *q, struct response *ret)
{
	struct pollfd fd = { .fd = u->channel, .events = POLLIN };
	int r = u->is_late ? take(u, ret) : 0, n;

	if (r < 0)
		return r == -EAGAIN ? -ETIMEDOUT : r;
	r = channel_send(u->channel, q, sizeof(*q), NULL, 0);
	if (r < 0)
		return give_up(u, r);
	do
		n = poll(&fd, 1, ANSWER_WAIT);
	while (n < 0 && errno == EINTR);
	u->is_late = n == 0;
	if (n == 0)
		return -ETIMEDOUT;
	r = take(u, ret);
	return r < 0 ? r : ret->error;
}

int users_find(struct users *u, struct span name, struct user *ret)
{
	struct question q = { .name = "" };
	struct response response = { .error = 0 };
	int r;

	if (name.n >= sizeof(q.name) || memchr(name.p, '\0', name.n))
		return -ENOENT;
	if (users_have_ended(u))
		return u->channel;
	memcpy(q.name, name.p, name.n);
	r = u->channel < 0 ? look_up(q.name, &response.user) : ask(u, &q, &response);
	if (r < 0)
		return r;
	if (response.user.uid < u->first || response.user.uid > u->last)
		return -ENOENT;
	response.user.home[sizeof(response.user.home) - 1] = '\0';
	*ret = response.user;
	return 0;
}

const char *users_error(int error)
{
	switch (error) {
	case -ETIMEDOUT:
		return "the name services did not answer in time (nsswitch.conf(5))";
	case -EHOSTUNREACH:
		return "a name service has failed (nsswitch.conf(5))";
	case -ERANGE:
		return "has an entry of more than 16 KiB";
	case -ENAMETOOLONG:
		return "has a home of more than 1023 octets";
	case -ECONNRESET:
	case -EPIPE:
		return "the process that looks up users has ended; another is started";
	default:
		return strerror(-error);
	}
}
