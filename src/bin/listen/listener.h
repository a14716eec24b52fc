/*
 * The process of `postern --listen` that keeps the sockets: its state, and its loop. bin/listen sets it up.
 */
#pragma once

#include "bin/listen/acceptors.h"
#include "bin/inherit.h"
#include "bin/listen/manager.h"
#include "bin/listen/restart.h"
#include "edge/module.h"

struct listener {
	const struct options *options;
	const struct inherited *inherited;
	char **argv;
	char modules[MODULE_PATH_MAX];
	struct listen_sockets sockets;
	struct warm warm;
	struct listen_manager manager;
	int signals;
	struct listen_children *children;
	int table; /* descriptor of the same */
	struct acceptors acceptors;
	struct restarts ended, changed, failed,
		faults; /* of acceptors, and of the program */
	bool hides; /* there are files that the acceptor cannot watch */
	uint64_t looked; /* at them */
	bool over;
};

/* Writes a record; ctx is the listener. */
void listener_report(void *ctx, const char *text);

/* Runs until a signal ends it. Connections go on. */
void listener_run(struct listener *l);
