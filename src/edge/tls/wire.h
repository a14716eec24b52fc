/*
 * Between GnuTLS and the caller's io: fewer and larger reads and writes, and the errors
 * kept apart.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include "edge/tls/tls.h"

/*
 * Four records of the largest kind. GnuTLS asks for 5 octets and then for the rest of
 * each: with 64 KiB, 100 MB cost a tenth less CPU time than without a buffer.
 */
#define WIRE_IN (128 * 1024)

/* What came first is kept until the handshake is done: a ClientHello is far smaller. */
#define WIRE_KEPT (16 * 1024)

struct wire {
	struct tls_io io;
	gnutls_session_t session;
	int error; /* what io returned in this call, negative; or 0 */
	bool at_end; /* io has said end of file */
	bool dry; /* do not touch the connection: only what is in hand */
	bool keeps; /* the first octets stay at the front of `in`; this many: */
	size_t kept;
	size_t begin;
	size_t end;
	unsigned char in[WIRE_IN];
};

/* Leaves `in` as it is: its pages are touched when something arrives. */
void wire_init(struct wire *wire, const struct tls_io *io, gnutls_session_t session);

/* The first octets, up to WIRE_KEPT, are no longer kept. */
void wire_forget(struct wire *wire);

/* Whether a whole TLS record is in hand, so that GnuTLS need not wait for it. */
bool wire_has_record(const struct wire *wire);
