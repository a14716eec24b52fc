/* SPDX-License-Identifier: ISC */
/*
 * `postern --listen`: a process that keeps the sockets and loads modules and credentials,
 * and its child, the acceptor, which accepts connections and is replaced when a file has
 * changed. The listener itself does not read from clients.
 */
#pragma once

struct inherited;
struct options;

/* The kind of a socket: by FileDescriptorName=, or the word before "=" in --listen=. */
enum listen_kind {
	LISTEN_SMTP, /* TLS and AUTH as in the settings */
	LISTEN_SMTPS, /* TLS comes first */
	LISTEN_SUBMISSION, /* TLS and a login are required */
	LISTEN_LMTP, /* without TLS */
};

#define LISTEN_KINDS (LISTEN_LMTP + 1)

/*
 * Finds the kind of an address in the syntax of listen_open(). Returns NULL, or the
 * fault.
 */
const char *listen_find_kind(const char *address, enum listen_kind *ret);

/* Adds the overrides of the kind after those of the command line. */
void listen_put_options(struct options *o, enum listen_kind kind);

/*
 * Listens until a signal ends it. Returns the exit status. `argv` is the argument of
 * main().
 */
int listen_run(
	const struct options *options, const struct inherited *inherited, char **argv);
