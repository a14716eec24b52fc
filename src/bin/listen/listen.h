/*
 * `postern --listen`: keeps the sockets, what is loaded for all connections, and a process that accepts them
 * (bin/acceptor), which is replaced whenever a file has changed. It sees no octet of any client.
 */
#pragma once

struct inherited;
struct options;

/* What is spoken there: by FileDescriptorName=, or the word before "=" in --listen=. */
enum listen_kind {
	LISTEN_SMTP, /* as the settings say */
	LISTEN_SMTPS, /* TLS comes first */
	LISTEN_SUBMISSION, /* TLS and a login are required */
	LISTEN_LMTP, /* without TLS */
};

#define LISTEN_KINDS (LISTEN_LMTP + 1)

/* The kind of an address as listen_open() takes it. NULL, or what is wrong with it. */
const char *listen_find_kind(const char *address, enum listen_kind *ret);

/* What the kind of a socket asks, whatever the settings say, is put behind the options that were given. */
void listen_put_options(struct options *o, enum listen_kind kind);

/* Listens until a signal ends it. The exit status. `argv` is the program's own. */
int listen_run(
	const struct options *options, const struct inherited *inherited, char **argv);
