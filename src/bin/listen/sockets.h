/* The sockets that a listener accepts from: handed over by the service manager, or its own. */
#pragma once

#include <sys/socket.h>
#include "base/buf.h"
#include "bin/listen/listen.h"

#define LISTEN_SOCKETS_MAX 16
#define LISTEN_ADDRESS_MAX 128

/* "smtps" */
const char *listen_kind_word(enum listen_kind kind);

/* True where TLS comes first or is required, whatever the settings say of other sockets. */
bool listen_kind_needs_tls(enum listen_kind kind);

struct listen_socket {
	int fd;
	enum listen_kind kind;
};

struct listen_sockets {
	struct listen_socket list[LISTEN_SOCKETS_MAX];
	size_t n;
};

/* The same descriptor with a number of at least `from`; -1 with errno when there is none. */
int listen_move_up(int fd, int from);

/* Takes all signals that a signalfd has. True when one of them is SIGTERM or SIGINT. */
bool listen_read_stop(int signals);

#define LISTEN_FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* The port of a TCP socket, or 0. */
unsigned listen_port(const struct listen_socket *socket);

/*
 * Takes the `n` sockets from descriptor 3 on; `names` is $LISTEN_FDNAMES, or NULL. NULL,
 * or the sentence that tells what is wrong.
 */
const char *listen_take(struct listen_sockets *s, size_t n, const char *names);

/*
 * Opens one: [ ( "smtp" / "smtps" / "submission" / "lmtp" ) "=" ]
 * ( IPv4 ":" port / "[" IPv6 "]:" port / "*:" port / "/" path ).
 * False, and what is wrong and what to do.
 */
bool listen_open(struct listen_sockets *s, const char *address, struct buf *ret_fault);

/* Why the socket could not be bound: `error` in the system's words, the process that holds the address, and what to do. */
void holder_put_fault(struct buf *to, const struct sockaddr *address, int error);
