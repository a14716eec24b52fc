/*
 * The acceptor: the process that accepts connections for a listener and forks a process for each. It has the
 * settings of its start, and is in the sandbox before it accepts anything. When a file has changed it asks the
 * listener for a successor; when that is ready it stops accepting, and ends with the last of its connections.
 */
#pragma once

#include "bin/listen/children.h"
#include "bin/listen/sockets.h"
#include "bin/options.h"
#include "bin/preload.h"

#define ACCEPTOR_COUNTS_EVERY 1000 /* milliseconds */
/* milliseconds without an order of the listener, after which it goes on as before */
#define ACCEPTOR_ANSWER_TIME 5000
/* milliseconds without accept() when that has failed for a reason that may last */
#define ACCEPTOR_PAUSE 100

enum acceptor_word {
	ACCEPTOR_READY,
	ACCEPTOR_COUNTS, /* counters have changed, or just a sign of life */
	/* these three are followed by an order; until then it accepts nothing */
	ACCEPTOR_CHANGED, /* a file has changed: a successor is needed */
	ACCEPTOR_UNUSABLE, /* its settings cannot be used, but may be usable now */
	ACCEPTOR_FAULT, /* a process was ended by a signal: the listener may start anew */
};

/* From acceptor to listener, which trusts no value in it. */
struct acceptor_message {
	enum acceptor_word word;
	pid_t pid; /* of ACCEPTOR_FAULT */
	int signal;
	bool hides; /* of ACCEPTOR_READY: there are files that it cannot watch */
};

enum acceptor_order {
	ACCEPTOR_GO_ON, /* as before */
	ACCEPTOR_LEAVE, /* a successor accepts */
};

/* From listener to acceptor. */
struct acceptor_answer {
	enum acceptor_order order;
	uint64_t wait; /* milliseconds in which it must not ask for a successor again */
};

struct acceptor_task {
	const struct options *options;
	const struct inherited *inherited;
	const char *modules; /* their directory */
	const struct listen_sockets *sockets;
	const struct warm *warm;
	struct listen_children *children;
	int signals; /* signalfd: SIGTERM, SIGINT, SIGHUP, SIGCHLD */
	int channel; /* SOCK_SEQPACKET to the listener; at its end the acceptor exits */
	int from; /* descriptors from this number on do not belong to connections */
	uint64_t alive; /* milliseconds in which some message must come; 0: none must */
};

/* Accepts until there is nothing left to do. The exit status. */
int acceptor_run(const struct acceptor_task *task);
