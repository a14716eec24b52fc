/* Promises that no process keeps another's end of the news open; refuses to know what the news are. */
#include "bin/listen-helpers.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bin/acceptor.h"
#include "edge/stream.h"

int helpers_move_up(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, ACCEPTOR_FDS);

	close(fd);
	return moved;
}

bool helpers_told_to_stop(int signals)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		stop |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
	return stop;
}

static int open_news(int ret_ends[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0)
		return -errno;
	for (size_t i = 0; i < 2; i++)
		ret_ends[i] = helpers_move_up(ret_ends[i]);
	if (ret_ends[0] >= 0 && ret_ends[1] >= 0)
		return 0;
	close(ret_ends[0]);
	close(ret_ends[1]);
	return -EMFILE;
}

static void take_out(struct helpers *h, size_t i)
{
	close(h->list[i].news);
	listen_remove_all(h->children, h->list[i].pid);
	h->n--;
	memmove(h->list + i, h->list + i + 1, (h->n - i) * sizeof(*h->list));
}

pid_t helpers_fork(struct helpers *h, int *ret_news)
{
	int ends[2], error = open_news(ends);
	pid_t pid;

	h->started = stream_clock();
	h->due = true;
	if (error < 0)
		return error;
	pid = fork();
	error = -errno;
	if (pid == 0) {
		for (size_t i = 0; i < h->n; i++)
			close(h->list[i].news);
		close(ends[0]);
		*ret_news = ends[1];
		return 0;
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return error;
	}
	if (h->n == HELPERS_MAX)
		take_out(h, 0);
	h->list[h->n++] = (struct helper){ pid, ends[0] };
	h->due = false;
	return pid;
}

bool helpers_accepts(const struct helpers *h, const struct helper *helper)
{
	return !h->due && helper == &h->list[h->n - 1];
}

enum helpers_end helpers_remove(struct helpers *h, pid_t pid)
{
	size_t i = 0;
	bool accepted;

	while (i < h->n && h->list[i].pid != pid)
		i++;
	if (i == h->n)
		return HELPERS_UNKNOWN;
	accepted = helpers_accepts(h, &h->list[i]);
	take_out(h, i);
	h->due |= accepted;
	return accepted ? HELPERS_NEEDED : HELPERS_LEFT;
}

void helpers_end(struct helpers *h)
{
	for (size_t i = 0; i < h->n; i++) {
		kill(h->list[i].pid, SIGTERM);
		waitpid(h->list[i].pid, NULL, 0);
	}
	h->n = 0;
}
