/* SPDX-License-Identifier: ISC */
/*
 * The descriptors of a listener: sockets, which are passed or opened here, and signals.
 */
#pragma once

#include <sys/socket.h>
#include "base/buf.h"
#include "bin/listen/listen.h"

#define LISTEN_SOCKETS_MAX 16
#define LISTEN_ADDRESS_MAX 128

/* Returns the word of a kind, such as "smtps". */
const char *listen_kind_word(enum listen_kind kind);

/* True for a kind with TLS first or required, regardless of the settings. */
bool listen_kind_needs_tls(enum listen_kind kind);

struct listen_socket {
	int fd;
	enum listen_kind kind;
};

struct listen_sockets {
	struct listen_socket list[LISTEN_SOCKETS_MAX];
	size_t n;
};

/* Reads all signals from a signalfd. True when one of them is SIGTERM or SIGINT. */
bool listen_read_stop(int signals);

#define LISTEN_FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* Returns the port of a TCP socket, or 0. */
unsigned listen_port(const struct listen_socket *socket);

/*
 * Adds the `n` sockets that were passed from descriptor 3 on; `names` is $LISTEN_FDNAMES,
 * or NULL. Returns NULL, or the fault of one of them.
 */
const char *listen_use_passed(struct listen_sockets *s, size_t n, const char *names);

/*
 * Opens a socket at the address: [ ( "smtp" / "smtps" / "submission" / "lmtp" ) "=" ]
 * ( IPv4 ":" port / "[" IPv6 "]:" port / "*:" port / "/" path ).
 * False, and a fault with its cure.
 */
bool listen_open(struct listen_sockets *s, const char *address, struct buf *ret_fault);

/*
 * Appends why the socket could not be bound: the text of `error`, the process that
 * listens at the address, and a cure.
 */
void holder_put_fault(struct buf *to, const struct sockaddr *address, int error);
