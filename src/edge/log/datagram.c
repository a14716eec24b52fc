/* Promises that no daemon holds us up for longer than it was given; refuses to know what is said. */
#include "edge/log/datagram.h"
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* The length of the address, or 0. */
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
