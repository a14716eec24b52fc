/* SPDX-License-Identifier: ISC */
/*
 * Datagrams to the daemons of this host: the service manager and, for the log, syslog and
 * journald. No daemon delays a session for longer than the caller's time limit. A line
 * for the service manager is one datagram, which is a stable interface (sd_notify(3)), so
 * libsystemd, which would cost more than a whole session, is not used.
 */
#include "edge/log/sinks.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/buf.h"

#define SEND_MAX 10 /* milliseconds to wait for the service manager */

/* Returns the length of the address, or 0 for an invalid path. */
static socklen_t address_of(const char *path, struct sockaddr_un *ret)
{
	size_t n = strlen(path);

	if ((*path != '/' && *path != '@') || n >= sizeof(ret->sun_path))
		return 0;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, path, n);
	if (*path == '@')
		ret->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

int datagram_open(unsigned milliseconds)
{
	const struct timeval most = { milliseconds / 1000, milliseconds % 1000 * 1000 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

int datagram_send(int fd, const char *path, struct span text)
{
	struct sockaddr_un address;
	socklen_t length = address_of(path, &address);

	if (length == 0)
		return -EINVAL;
	if (sendto(fd, text.p, text.n, MSG_NOSIGNAL, (const struct sockaddr *)&address,
		    length) < 0)
		return -errno;
	return 0;
}

int datagram_try(const char *path)
{
	struct sockaddr_un address;
	socklen_t length = address_of(path, &address);
	int fd = datagram_open(0), error = 0;

	if (fd < 0)
		return fd;
	if (length == 0 || connect(fd, (const struct sockaddr *)&address, length) < 0)
		error = length == 0 ? -EINVAL : -errno;
	close(fd);
	return error;
}

void notify_init(struct notify *n, const char *socket, uint64_t now)
{
	*n = (struct notify){ .socket = socket, .last = now };
}

bool notify_is_changed(const struct notify *n, const char *text)
{
	return n->socket && strcmp(n->last_text, text) != 0;
}

void notify_send(const struct notify *n, struct span lines)
{
	int fd = n->socket ? datagram_open(SEND_MAX) : -1;

	if (fd < 0)
		return;
	datagram_send(fd, n->socket, lines);
	close(fd);
}

void notify_status(struct notify *n, const char *text, uint64_t now)
{
	char octets[sizeof("STATUS=") + NOTIFY_TEXT_MAX];
	struct buf b = BUF(octets), last = BUF(n->last_text);

	n->last = now;
	buf_put_str(&last, text);
	buf_terminate(&last);
	buf_put(&b, SPAN("STATUS="));
	buf_put_str(&b, text);
	/* a lost line is not sent again, because the next one replaces it */
	notify_send(n, buf_span(&b));
}
