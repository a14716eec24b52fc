/* SPDX-License-Identifier: ISC */
/* What a process inherits from its parent: environment, descriptors, signals. */
#pragma once

#include <stdbool.h>
#include "edge/net/net.h"

/* Set by a listener that executes itself: the reason (renew.c). */
#define LISTEN_RENEWED "POSTERN_LISTEN_RENEWED"

/*
 * The values of the variables that are used, in the memory that the process began with;
 * the environment is cleared. NULL: not set.
 */
struct inherited {
	struct peer_environment peer;
	const char *journal_stream;
	const char *credentials_directory;
	const char *state_directory;
	const char *notify_socket;
	const char *listen_pid, *listen_fds, *listen_fdnames;
	const char *watchdog_usec;
	const char *listen_renewed;
	bool stderr_silent; /* descriptor 2 is /dev/null */
};

enum inherit_result {
	INHERIT_FINE,
	INHERIT_LISTENING, /* the descriptor is a listening socket, not a connection */
	INHERIT_FAILED, /* descriptors cannot be arranged; errno */
};

/*
 * Finds the variables, clears the environment, opens descriptors 0 to 2 if they are
 * closed, and sets every signal to its default, except SIGPIPE and SIGXFSZ, which are
 * ignored.
 */
void inherit(struct inherited *ret);

/* Returns the number of descriptors that were passed, from 3 on (sd_listen_fds(3)). */
size_t inherit_passed(const struct inherited *in);

/* True when a connection may have been passed: descriptor 0 is a socket, or 3 exists. */
bool inherit_may_be_connection(const struct inherited *in);

/*
 * Makes descriptors 0 and 1 the connection, which is passed there or, with LISTEN_FDS, as
 * 3 (sd_listen_fds(3)). All other descriptors above 2 are closed. If descriptor 2 is the
 * connection, too, it becomes /dev/null, so that only SMTP is written to the connection.
 */
enum inherit_result inherit_connection(struct inherited *in);
