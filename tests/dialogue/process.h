/* SPDX-License-Identifier: ISC */
/* A session of a real process at the other end of a socket pair, with real TLS and real
 * Maildirs. */
#pragma once

#include <gnutls/gnutls.h>
#include "way.h"

#define PROCESS_SETTINGS_MAX 64

struct process;

/*
 * Runs the server in a new process. Descriptors 0 and 1 are the connection, 2 is the log, and the environment has
 * only the peer. Returns the exit status.
 */
typedef int process_body(const struct process *p, const struct surroundings *where);

struct process {
	struct way way;
	pid_t pid; /* 0: not started yet */
	int fd; /* the client's end */
	int server_fd; /* the other end, until the server is started */
	process_body *body;
	const struct surroundings *where;
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t tls; /* NULL in the clear */
	bool ended; /* the client has closed its half */
	bool cut; /* and without a close_notify, which frees the server of its own */
	const char *directory; /* of this run */
	const char *mail; /* mail-root */
	const char *outbox; /* where reports are, or NULL */
	const char *log; /* what came on standard error */
	/* "key=value", as after -o of postern; ended by NULL */
	const char *settings[PROCESS_SETTINGS_MAX];
	size_t n_settings;
	const char *peer; /* the client's address, or NULL */
	bool lmtp;
	const char *users; /* the setting `users` of the dialogue */
};

/* Starts the server, unless it has been: after the first octets of a client that does not
 * wait for the greeting, so that these are early for certain. */
bool process_start(struct process *p);

/* Plays the dialogue with a server that `body` becomes. */
bool process_play(const struct surroundings *where, const struct dialogue *d,
	process_body *body, struct complaint *ret);

/* The client's end of the connection: connection.c. */
extern const struct way_ops process_ops;

/* Makes the initial Maildirs, and reads the files of all. A file in a tmp is a fault. */
bool maildirs_make(struct way *w, const char *root, const char *const *boxes);
bool maildirs_read(struct way *w, const char *root);
/* The reports. */
bool maildirs_read_outbox(struct way *w, const char *outbox);

/* Reads the records of a log. */
bool records_read(struct way *w, const char *path);

/* Makes the certificates of all dialogues in the directory, once. */
bool certificates_make(struct way *w, const char *directory);
/* The files of a pair by its name: good, expired, missing, garbage or mismatch. */
void certificates_find(struct arena *a, const char *directory, const char *name,
	const char **ret_certificate, const char **ret_key);

/* Text printf's way, in the arena. */
char *arena_print(struct arena *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
