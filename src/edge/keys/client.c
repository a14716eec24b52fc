/* SPDX-License-Identifier: ISC */
/*
 * Asks the key agent: sends one request, and waits for its answer for a limited time. A
 * channel has only one request at a time, so the answer always belongs to this request.
 */
#include "edge/keys/keys.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include "edge/net/net.h"

ssize_t keys_ask(const struct keys *keys, const struct keys_request *request,
	enum keys_result *ret, void *to, size_t room)
{
	struct keys_header header = { .result = KEYS_REFUSED };
	struct iovec parts[] = { { &header, sizeof(header) }, { to, room } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n;
	int r;

	if (keys->channel < 0)
		return keys->channel;
	if (send(keys->channel, request, sizeof(*request), MSG_NOSIGNAL) < 0)
		return errno == EPIPE ? -ECONNRESET : -errno;
	r = channel_wait(keys->channel, POLLIN, keys->signals, KEYS_WAIT);
	if (r < 0)
		return r;
	n = recvmsg(keys->channel, &message, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(header))
		return -ECONNRESET;
	if (header.n > room || (size_t)n != sizeof(header) + header.n ||
		header.result > KEYS_REFUSED)
		return -EPROTO;
	*ret = header.result;
	return (ssize_t)header.n;
}

int keys_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

const char *keys_error(int error)
{
	switch (error) {
	case -ECONNRESET:
		return "the key agent has ended, or refused a request: see its error "
		       "records";
	case -EIO:
		return "the token with the key does not sign; p11tool says more. The key "
		       "agent looks for it again";
	case -ETIMEDOUT:
		return "the key agent did not answer in time: is it, or the token with "
		       "the key, stopped or overloaded?";
	case -EPROTO:
		return "what listens there does not answer as a key agent: is the path "
		       "that of postern-key-agent.socket, and the agent of the version "
		       "of this program?";
	case -EPROTOTYPE:
		return "what listens there is no key agent: name the path of "
		       "postern-key-agent.socket";
	case -ENOENT:
		return "there is no socket of a key agent; is postern-key-agent.socket "
		       "started?";
	case -ECONNREFUSED:
		return "no key agent listens there; is postern-key-agent.socket started?";
	case -EAGAIN:
		return "the key agent has too many connections to accept";
	default:
		return strerror(-error);
	}
}
