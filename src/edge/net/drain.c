/* SPDX-License-Identifier: ISC */
/*
 * The end of a connection. Further input of the client is read and discarded, up to a
 * limit of octets and time, because the kernel answers unread input with a reset, which
 * can overtake the last reply.
 */
#include "edge/net/net.h"
#include <sys/socket.h>

/* Reads and discards input, below TLS. */
static void drain(struct stream *s)
{
	struct tls *tls = s->tls;
	size_t drained = 0;
	ssize_t got;

	s->timeout = s->timeout < STREAM_DRAIN_SECONDS * 1000
			     ? s->timeout
			     : STREAM_DRAIN_SECONDS * 1000;
	s->deadline = stream_clock() + s->timeout;
	s->finishing = true;
	s->tls = NULL;
	do {
		s->have.n = 0;
		got = stream_fill(s);
		drained += got > 0 ? (size_t)got : 0;
	} while (got > 0 && drained < STREAM_DRAIN_MAX);
	s->tls = tls;
}

void stream_finish(struct stream *s)
{
	if (s->tls)
		s->api->bye(s->tls);
	if (shutdown(s->out, SHUT_WR) == 0)
		drain(s);
}
