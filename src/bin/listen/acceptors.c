/* Forks acceptors and keeps the list of them. No process has a channel that is not its own, and none waits for another. */
#include "bin/listen/acceptors.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/net/net.h"

int acceptors_move_up(int fd, int from)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, from);
	int error = errno;

	close(fd);
	errno = error;
	return moved;
}

bool acceptors_told_to_stop(int signals)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		stop |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
	return stop;
}

static int open_channel(int from, int ret_ends[2])
{
	int error = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0)
		return -errno;
	for (size_t i = 0; i < 2; i++) {
		ret_ends[i] = acceptors_move_up(ret_ends[i], from);
		if (ret_ends[i] < 0)
			error = -errno;
	}
	for (size_t i = 0; i < 2 && error; i++)
		if (ret_ends[i] >= 0)
			close(ret_ends[i]);
	return error;
}

static void remove_at(struct acceptors *a, size_t i)
{
	close(a->list[i].channel);
	a->n--;
	memmove(a->list + i, a->list + i + 1, (a->n - i) * sizeof(*a->list));
}

pid_t acceptors_fork(struct acceptors *a, int *ret_channel)
{
	int ends[2], error;
	pid_t pid;

	error = open_channel(a->from, ends);
	if (error < 0)
		return error;
	pid = fork();
	error = -errno;
	if (pid == 0) {
		for (size_t i = 0; i < a->n; i++)
			close(a->list[i].channel);
		close(ends[0]);
		*ret_channel = ends[1];
		return 0;
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return error;
	}
	/* it sees its channel closed, and ends; its connections become children of this process */
	if (a->n == ACCEPTORS_MAX)
		remove_at(a, 0);
	a->list[a->n++] = (struct acceptor_process){ pid, ends[0], ACCEPTOR_STARTING,
		stream_clock() };
	return pid;
}

struct acceptor_process *acceptors_find(struct acceptors *a, enum acceptor_state state)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].state == state)
			return &a->list[i];
	return NULL;
}

void acceptors_answer(
	const struct acceptor_process *p, enum acceptor_order order, uint64_t wait)
{
	const struct acceptor_answer answer = { order, wait };

	/* where it does not arrive the acceptor goes on by itself after a while */
	if (p)
		send(p->channel, &answer, sizeof(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void acceptors_switch_to(struct acceptors *a, struct acceptor_process *p)
{
	struct acceptor_process *before = acceptors_find(a, ACCEPTOR_ACCEPTING);

	if (before) {
		before->state = ACCEPTOR_LEAVING;
		acceptors_answer(before, ACCEPTOR_LEAVE, 0);
	}
	p->state = ACCEPTOR_ACCEPTING;
}

bool acceptors_remove(struct acceptors *a, pid_t pid, enum acceptor_state *ret_state)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->list[i].pid != pid)
			continue;
		*ret_state = a->list[i].state;
		remove_at(a, i);
		return true;
	}
	return false;
}

void acceptors_kill(const struct acceptors *a, int signal)
{
	for (size_t i = 0; i < a->n; i++)
		kill(a->list[i].pid, signal);
}
