/* SPDX-License-Identifier: ISC */
/*
 * Finds users of the system. A broker asks another process, and never waits for it: a
 * request for which an answer is missing ends, and is carried out again with the answer.
 */
#include "edge/store/users.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/net/net.h"

int users_start(struct users *u, const char *as, bool apart)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		_exit(apart ? lookups_run_apart(ends[1], as) : lookups_run(ends[1], as));
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	u->channel = ends[0];
	return 0;
}

bool users_serve(int argc, char **argv, int *ret_status)
{
	if (argc != 2 || strcmp(argv[0], LOOKUPS_NAME) != 0)
		return false;
	*ret_status = lookups_run(STDIN_FILENO, argv[1]);
	return true;
}

bool users_have_ended(const struct users *u)
{
	return u->channel < 0;
}

bool users_are_awaited(const struct users *u)
{
	return u && u->answers && u->answers->is_waiting;
}

/* No further question is asked: the broker ends, and another one is started. */
static int give_up(struct users *u, int error)
{
	close(u->channel);
	u->channel = error;
	return u->channel;
}

int users_take(struct users *u, uint32_t *ret_id, struct users_answer *ret)
{
	struct lookup_answer a;
	size_t n_fds;
	ssize_t n;

	if (users_have_ended(u))
		return u->channel;
	n = channel_receive(u->channel, &a, sizeof(a), NULL, 0, &n_fds);
	if (n == -EAGAIN)
		return -EAGAIN;
	if (n != sizeof(a))
		return give_up(u, n < 0 ? (int)n : -ECONNRESET);
	a.user.home[sizeof(a.user.home) - 1] = '\0';
	*ret_id = a.id;
	ret->error = a.error > 0 ? -EPROTO : a.error;
	ret->user = a.user;
	return 0;
}

/* Sends a question, whose answer is to be the next one of the request. */
static int ask(struct users *u, const struct lookup_question *q)
{
	int r = channel_send(u->channel, q, sizeof(*q), NULL, 0);

	/* its queue is full */
	if (r == -EAGAIN || r == -ENOBUFS)
		return -EBUSY;
	if (r < 0)
		return give_up(u, r);
	memcpy(u->answers->list[u->answers->n].name, q->name, sizeof(q->name));
	u->answers->is_waiting = true;
	return -EINPROGRESS;
}

/* Asks and waits for the answer, which comes in any case. 0 or -errno. */
static int ask_and_wait(
	struct users *u, const struct lookup_question *q, struct user *ret)
{
	struct pollfd fd = { .fd = u->channel, .events = POLLIN };
	struct users_answer a;
	uint32_t id;
	int r = channel_send(u->channel, q, sizeof(*q), NULL, 0);

	if (r < 0)
		return give_up(u, r);
	do {
		if (poll(&fd, 1, -1) < 0 && errno != EINTR)
			return give_up(u, -errno);
		r = users_take(u, &id, &a);
	} while (r == -EAGAIN);
	if (r < 0)
		return r;
	*ret = a.user;
	return a.error;
}

/* Looks for the answer to the question; asks it when it has none. 0 or -errno. */
static int find_answer(struct users *u, const struct lookup_question *q, struct user *ret)
{
	const struct users_answers *known = u->answers;

	if (!known)
		return ask_and_wait(u, q, ret);
	for (size_t i = 0; i < known->n; i++)
		if (strcmp(known->list[i].name, q->name) == 0) {
			*ret = known->list[i].user;
			return known->list[i].error;
		}
	return known->n < USERS_ANSWERS_MAX ? ask(u, q) : -ENOMEM;
}

int users_find(struct users *u, struct span name, struct user *ret)
{
	struct lookup_question q = { .name = "" };
	struct user user = { .home = "" };
	int r;

	if (name.n >= sizeof(q.name) || memchr(name.p, '\0', name.n))
		return -ENOENT;
	if (users_have_ended(u))
		return u->channel;
	memcpy(q.name, name.p, name.n);
	q.id = u->answers ? u->answers->id : 0;
	r = find_answer(u, &q, &user);
	if (r < 0)
		return r;
	*ret = user;
	return user.uid < u->first || user.uid > u->last ? USERS_OUT_OF_RANGE : 0;
}

const char *users_error(int error)
{
	switch (error) {
	case -ETIMEDOUT:
		return "the name services did not answer in time (nsswitch.conf(5))";
	case -EBUSY:
		return "the name services are slow, and too many other names are looked "
		       "up (nsswitch.conf(5))";
	case -ECHILD:
		return "a name service has crashed (nsswitch.conf(5))";
	case -EHOSTUNREACH:
		return "a name service has failed (nsswitch.conf(5))";
	case -EAFNOSUPPORT:
	case -ENETUNREACH:
		return "a name service needs a network that this process does not have "
		       "(PrivateNetwork= and RestrictAddressFamilies= of the unit)";
	case -ERANGE:
		return "has an entry of more than 16 KiB";
	case -ENAMETOOLONG:
		return "has a home of more than 1023 octets";
	case -ECONNRESET:
	case -EPIPE:
		return "the process that looks up users has ended";
	default:
		return strerror(-error);
	}
}
