/*
 * Promises that nobody waits for the service manager. A datagram to a socket is all there is to it (sd_notify(3)
 * promises that this stays so), and libsystemd would cost more than the whole session.
 */
#include "edge/notify.h"
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/buf.h"

void notify_init(struct notify *n, const char *socket, uint64_t now)
{
	*n = (struct notify){ .socket = socket, .last = now };
}

bool notify_is_news(const struct notify *n, const char *text)
{
	return n->socket && strcmp(n->told, text) != 0;
}

/* A path, or "@name" for one that is in no file system. The length of the address, or 0. */
static socklen_t address_of(const char *socket, struct sockaddr_un *ret)
{
	size_t n = strlen(socket);

	if ((*socket != '/' && *socket != '@') || n >= sizeof(ret->sun_path))
		return 0;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, socket, n);
	if (*socket == '@')
		ret->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

void notify_status(struct notify *n, const char *text, uint64_t now)
{
	char octets[sizeof("STATUS=") + NOTIFY_TEXT_MAX];
	struct buf b = BUF(octets), told = BUF(n->told);
	struct sockaddr_un address;
	socklen_t length = address_of(n->socket, &address);
	int fd;

	n->last = now;
	buf_put_str(&told, text);
	buf_terminate(&told);
	buf_put(&b, SPAN("STATUS="));
	buf_put_str(&b, text);
	fd = length ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	if (fd < 0)
		return;
	/* what does not arrive is said anew when it has changed */
	(void)!sendto(fd, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL,
		(const struct sockaddr *)&address, length);
	close(fd);
}
