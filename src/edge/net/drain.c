/* SPDX-License-Identifier: ISC */
/*
 * The end of a connection. What the client still sends is read and discarded, within a
 * bound of octets and of time: the system answers unread input with a reset, and that
 * can overtake the last reply.
 */
#include "edge/net/net.h"
#include <sys/socket.h>

/* Reads below TLS: what arrives is not used. */
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
