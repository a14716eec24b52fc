/* The sockets that a listener accepts from: handed over by the service manager, or its own. */
#pragma once

#include "base/buf.h"

#define LISTEN_SOCKETS_MAX 16
#define LISTEN_ADDRESS_MAX 128

/* What is spoken there: by FileDescriptorName=, or the word before "=" in --listen=. */
enum listen_kind {
	LISTEN_SMTP, /* as the settings say */
	LISTEN_SMTPS, /* TLS comes first */
	LISTEN_SUBMISSION, /* TLS and a login are required */
	LISTEN_LMTP, /* without TLS */
};

/* "smtps" */
const char *listen_kind_word(enum listen_kind kind);

/* True where TLS comes first or is required, whatever the settings say of other sockets. */
bool listen_kind_needs_tls(enum listen_kind kind);

/* The kind of an address as listen_open() takes it. NULL, or what is wrong with it. */
const char *listen_find_kind(const char *address, enum listen_kind *ret);

struct listen_socket {
	int fd;
	enum listen_kind kind;
};

struct listen_sockets {
	struct listen_socket list[LISTEN_SOCKETS_MAX];
	size_t n;
};

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
