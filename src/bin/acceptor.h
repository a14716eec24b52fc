/*
 * The process that accepts connections for a listener and forks a process for each. It has the settings of
 * the day it was started, and is shut into the sandbox before it accepts anything. When a file is another
 * now it asks for a successor, accepts no more, and ends with the last of its connections.
 */
#pragma once

#include "bin/listen-children.h"
#include "bin/listen-sockets.h"
#include "bin/options.h"
#include "bin/warm.h"

/*
 * What the process of a connection says by its exit status: this and an enum topic, or
 * less, as of one that was started for it alone.
 */
#define ACCEPTOR_STATUS 128

/* Descriptors from here on are no connection's concern: sockets that are listened at, and our own. */
#define ACCEPTOR_FDS 64

#define ACCEPTOR_NEWS_EVERY 1000 /* milliseconds; what cannot wait comes at once */

enum acceptor_word {
	ACCEPTOR_READY,
	ACCEPTOR_COUNTS, /* the numbers are others, or it only lives */
	ACCEPTOR_STALE, /* it wants a successor */
	ACCEPTOR_FAULT, /* a process was ended by a signal; any octet is the answer: go on */
};

/* What the listener hears. */
struct acceptor_news {
	enum acceptor_word word;
	pid_t pid; /* of ACCEPTOR_FAULT */
	int signal;
};

struct acceptor_task {
	const struct options *options;
	const struct inherited *inherited;
	const char *modules; /* their directory */
	const struct listen_sockets *sockets;
	const struct warm *warm;
	struct listen_children *children;
	int signals; /* signalfd: SIGTERM, SIGINT, SIGHUP, SIGCHLD */
	int news; /* SOCK_SEQPACKET; who is at its other end wants us to live */
	uint64_t
		alive; /* milliseconds in which some news must come; 0: nobody waits for it */
};

/* Accepts until there is nothing left to do. The exit status. */
int acceptor_run(const struct acceptor_task *task);
