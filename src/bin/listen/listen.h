/* SPDX-License-Identifier: ISC */
/*
 * `postern --listen`: a process that keeps the sockets and loads modules and credentials,
 * and a child, the acceptor, that accepts connections and is replaced when a file has
 * changed. The listener itself reads nothing from clients.
 */
#pragma once

struct inherited;
struct options;

/* The kind of a socket: by FileDescriptorName=, or the word before "=" in --listen=. */
enum listen_kind {
	LISTEN_SMTP, /* TLS and AUTH by the settings */
	LISTEN_SMTPS, /* TLS comes first */
	LISTEN_SUBMISSION, /* TLS and a login are required */
	LISTEN_LMTP, /* without TLS */
};

#define LISTEN_KINDS (LISTEN_LMTP + 1)

/* The kind of an address as listen_open() takes it. NULL, or what is wrong with it. */
const char *listen_find_kind(const char *address, enum listen_kind *ret);

/* Adds the overrides of the kind behind those of the command line. */
void listen_put_options(struct options *o, enum listen_kind kind);

/* Listens until a signal ends it. Returns the exit status. `argv` is that of main(). */
int listen_run(
	const struct options *options, const struct inherited *inherited, char **argv);
