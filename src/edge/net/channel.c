/* SPDX-License-Identifier: ISC */
/*
 * Messages between processes of postern over SOCK_SEQPACKET, with descriptors.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/net/net.h"

/*
 * The kernel counts the descriptors that were sent and not yet received, of all processes
 * of a user together, and compares with the limit of the one that sends.
 */
#define CROWDED_TRIES 50 /* a millisecond each */

union rights {
	struct cmsghdr header;
	char octets[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
};

int channel_move_up(int fd, int from)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, from);
	int error = moved < 0 ? -errno : 0;

	close(fd);
	return moved < 0 ? error : moved;
}

int channel_send(int channel, const void *text, size_t n, const int *fds, size_t n_fds)
{
	union rights rights = { 0 };
	struct iovec part = { (void *)text, n };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t sent = -1;

	if (n_fds) {
		message.msg_control = &rights;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = &rights.header;
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	for (int i = 0; i < CROWDED_TRIES; i++) {
		sent = sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent >= 0 || errno != ETOOMANYREFS)
			break;
		poll(NULL, 0, 1);
	}
	if (sent < 0)
		return -errno;
	return (size_t)sent == n ? 0 : -EMSGSIZE;
}

/* Takes over what came with the message; closes what there is no room for. */
static size_t take_rights(struct msghdr *message, int *ret_fds, size_t room)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(message);
	int fds[CHANNEL_FDS_MAX];
	size_t n = 0;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		c->cmsg_len < CMSG_LEN(0))
		return 0;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n > CHANNEL_FDS_MAX)
		n = CHANNEL_FDS_MAX;
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	for (size_t i = 0; i < n; i++) {
		if (i < room)
			ret_fds[i] = fds[i];
		else
			close(fds[i]);
	}
	return n < room ? n : room;
}

static ssize_t receive(int channel, void *to, size_t room, int flags, int *ret_fds,
	size_t n_room, size_t *ret_n_fds)
{
	union rights rights;
	struct iovec part = { to, room };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &rights,
		.msg_controllen = sizeof(rights) };
	ssize_t n = recvmsg(channel, &message, flags | MSG_CMSG_CLOEXEC);

	*ret_n_fds = 0;
	if (n < 0)
		return -errno;
	*ret_n_fds = take_rights(&message, ret_fds, n_room);
	return message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EMSGSIZE : n;
}

ssize_t channel_receive(int channel, void *to, size_t room, int *ret_fds, size_t n_room,
	size_t *ret_n_fds)
{
	return receive(channel, to, room, MSG_DONTWAIT, ret_fds, n_room, ret_n_fds);
}

ssize_t channel_await(int channel, void *to, size_t room, int *ret_fds, size_t n_room,
	size_t *ret_n_fds)
{
	return receive(channel, to, room, 0, ret_fds, n_room, ret_n_fds);
}

int channel_wait(int channel, short events, int signals, unsigned most)
{
	struct pollfd fds[] = { { .fd = channel, .events = events },
		{ .fd = signals, .events = POLLIN } };
	uint64_t now = stream_clock(), end = now + most;

	for (; now < end; now = stream_clock()) {
		int n = poll(fds, 2, (int)(end - now));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[0].revents)
			return 0;
		if (n > 0) {
			fds[1].fd = -1;
			now = stream_clock();
			end = now + CHANNEL_STOP_WAIT < end ? now + CHANNEL_STOP_WAIT
							    : end;
		}
	}
	return -ETIMEDOUT;
}
