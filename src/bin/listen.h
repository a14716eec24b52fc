/*
 * `postern --listen`: accepts connections and forks a process for each, which is the same
 * single-shot process as ever, but for what has been loaded already.
 */
#pragma once

#include "bin/inherit.h"
#include "bin/listen-sockets.h"
#include "bin/warm.h"

/*
 * What the process of a connection says by its exit status: this and an enum topic, or
 * less, as of one that was started for it alone.
 */
#define LISTEN_STATUS 128

struct listen_service {
	const struct options *options;
	const struct inherited *inherited;
	const char *modules; /* their directory */
	/* Serves the connection on descriptors 0 and 1, in a process of its own; the exit status. */
	int (*serve)(void *ctx, enum listen_kind kind, const struct warm *warm);
	void *ctx;
};

/* Accepts until a signal ends it. The exit status. `argv` is the program's own. */
int listen_run(const struct listen_service *service, char **argv);
