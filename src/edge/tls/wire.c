/*
 * Moves octets between GnuTLS and the connection. io's own error is kept, as GnuTLS
 * knows only a few, and never spoils the session: GnuTLS gets EAGAIN, which leaves it
 * as it was, so that a 421 can still be written after a time-out. Of the octets only
 * the length in a record's header is read.
 */
#include "edge/tls/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"

/* RFC 8446 5.1: type, version, and the length in the last two octets */
#define RECORD_HEADER 5

static ssize_t fail(struct wire *wire, int error)
{
	wire->error = error;
	gnutls_transport_set_errno(wire->session, EAGAIN);
	return -1;
}

static size_t in_hand(const struct wire *wire)
{
	return wire->end - wire->begin;
}

static ssize_t copy_out(struct wire *wire, void *to, size_t n)
{
	size_t m = n < in_hand(wire) ? n : in_hand(wire);

	memcpy(to, wire->in + wire->begin, m);
	wire->begin += m;
	return (ssize_t)m;
}

static ssize_t pull(gnutls_transport_ptr_t ctx, void *to, size_t n)
{
	struct wire *wire = ctx;
	ssize_t r;

	if (in_hand(wire) > 0)
		return copy_out(wire, to, n);
	if (wire->dry)
		return fail(wire, 0);
	r = wire->io.read(
		wire->io.ctx, wire->in + wire->kept, sizeof(wire->in) - wire->kept);
	if (r < 0)
		return fail(wire, (int)r);
	wire->at_end = r == 0;
	wire->begin = wire->kept;
	wire->end = wire->kept + (size_t)r;
	if (wire->keeps)
		wire->kept = wire->end < WIRE_KEPT ? wire->end : WIRE_KEPT;
	return copy_out(wire, to, n);
}

static int write_all(struct wire *wire, const unsigned char *from, size_t n)
{
	while (n > 0) {
		ssize_t r = wire->io.write(wire->io.ctx, from, n);

		if (r < 0)
			return (int)r;
		from += r;
		n -= (size_t)r;
	}
	return 0;
}

static size_t gather(const giovec_t *parts, int n_parts, unsigned char *to)
{
	size_t n = 0;

	for (int i = 0; i < n_parts; i++) {
		memcpy(to + n, parts[i].iov_base, parts[i].iov_len);
		n += parts[i].iov_len;
	}
	return n;
}

/*
 * GnuTLS hands over a flight of the handshake as some six records: one write, one
 * packet.
 */
static ssize_t push(gnutls_transport_ptr_t ctx, const giovec_t *parts, int n_parts)
{
	struct wire *wire = ctx;
	OWNED unsigned char *joined = NULL;
	const unsigned char *from = parts[0].iov_base;
	size_t n = 0;
	int r;

	for (int i = 0; i < n_parts; i++)
		n += parts[i].iov_len;
	if (n_parts > 1) {
		joined = malloc(n);
		if (!joined)
			return fail(wire, -ENOMEM);
		gather(parts, n_parts, joined);
		from = joined;
	}
	r = write_all(wire, from, n);
	return r < 0 ? fail(wire, r) : (ssize_t)n;
}

void wire_init(struct wire *wire, const struct tls_io *io, gnutls_session_t session)
{
	wire->io = *io;
	wire->session = session;
	wire->error = 0;
	wire->at_end = false;
	wire->dry = false;
	wire->keeps = true;
	wire->kept = 0;
	wire->begin = 0;
	wire->end = 0;
	gnutls_transport_set_ptr(session, wire);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_vec_push_function(session, push);
}

void wire_forget(struct wire *wire)
{
	wire->keeps = false;
	wire->kept = 0;
}

bool wire_has_record(const struct wire *wire)
{
	const unsigned char *header = wire->in + wire->begin;

	if (in_hand(wire) < RECORD_HEADER)
		return false;
	return in_hand(wire) - RECORD_HEADER >= (size_t)(header[3] << 8 | header[4]);
}
