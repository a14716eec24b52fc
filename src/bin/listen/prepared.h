/* What connections of each kind of socket are before there is a client. */
#pragma once

#include "bin/listen/acceptor.h"
#include "bin/connection.h"

#define KINDS (LISTEN_LMTP + 1)

struct kinds {
	struct connection *list[KINDS]; /* by kind; NULL: no socket is of it */
	struct connection *any; /* one of them: limits and log are the same for all */
	struct watch watch; /* what this process has opened, and may look at */
	size_t n_hidden; /* files that only the listener may look at */
};

/* What the kind of a socket asks, whatever the settings say, is put behind the options that were given. */
void kinds_put_options(struct options *o, enum listen_kind kind);

/*
 * Prepares those that there are sockets of, with the rights the process begins with, and gives up what none
 * of them needs. What is wrong is told, and keeps connections from being served. 0 or -ENOMEM.
 */
int kinds_prepare(struct kinds *k, const struct acceptor_task *task);

/* True when connections of some kind are not served, or lack a table or the place for reports. */
bool kinds_are_unusable(const struct kinds *k);
