/*
 * Promises that nobody waits for the service manager. A datagram to a socket is all there is to it (sd_notify(3)
 * promises that this stays so), and libsystemd would cost more than the whole session.
 */
#include "edge/log/notify.h"
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "edge/log/datagram.h"

#define PATIENCE 10 /* milliseconds */

void notify_init(struct notify *n, const char *socket, uint64_t now)
{
	*n = (struct notify){ .socket = socket, .last = now };
}

bool notify_is_news(const struct notify *n, const char *text)
{
	return n->socket && strcmp(n->told, text) != 0;
}

void notify_send(const struct notify *n, struct span lines)
{
	int fd = n->socket ? datagram_open(PATIENCE) : -1;

	if (fd < 0)
		return;
	datagram_send(fd, n->socket, lines);
	close(fd);
}

void notify_status(struct notify *n, const char *text, uint64_t now)
{
	char octets[sizeof("STATUS=") + NOTIFY_TEXT_MAX];
	struct buf b = BUF(octets), told = BUF(n->told);

	n->last = now;
	buf_put_str(&told, text);
	buf_terminate(&told);
	buf_put(&b, SPAN("STATUS="));
	buf_put_str(&b, text);
	/* what does not arrive is said anew when it has changed */
	notify_send(n, buf_span(&b));
}
