/*
 * The acceptor: the process that accepts connections for a listener and forks a process for each. It has the
 * settings of its start, and is in the sandbox before it accepts anything. When a file has changed it asks the
 * listener for a successor; when that is ready it stops accepting, and ends with the last of its connections.
 */
#pragma once

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "bin/connection.h"
#include "bin/listen/sockets.h"
#include "bin/options.h"
#include "bin/preload.h"
#include "proto/network.h"
#include "smtp/topic.h"

#define LISTEN_CHILDREN_MAX 65536
/* Sources whose rate is counted: in each set, the one with the fewest connections makes room for another. */
#define LISTEN_RATE_SETS_LOG 9
#define LISTEN_RATE_SETS (1 << LISTEN_RATE_SETS_LOG)
#define LISTEN_RATE_WAYS 8 /* sources in a set */
#define LISTEN_RATE_SECONDS 60

/*
 * The exit status of the process of a connection: this and an enum topic, or less, as of one that was started for
 * it alone.
 */
#define LISTEN_STATUS 128

struct listen_child {
	_Atomic pid_t pid; /* 0: the entry is free; negative: it is being filled in */
	pid_t keeper; /* the acceptor that has forked it */
	struct ip source; /* IPv6 by its first 64 bits; no address for a local socket */
};

/* Connections of one source in the present minute. */
struct listen_rate {
	struct ip source;
	uint64_t minute;
	size_t n;
};

struct listen_children {
	_Atomic size_t n_used; /* no entry from here on was ever used */
	_Atomic size_t n_so_far;
	_Atomic size_t n_checks; /* of these: of proxies, which sent nothing */
	_Atomic unsigned last; /* enum topic: of the sessions that had a status */
	uint64_t rate_key; /* random: which sources are in one set cannot be known */
	struct listen_rate rates[LISTEN_RATE_SETS][LISTEN_RATE_WAYS];
	struct listen_child list[LISTEN_CHILDREN_MAX];
};

struct listen_limits {
	size_t all; /* connections at once */
	size_t of_source; /* and of one source; 0: no limit */
	size_t rate; /* new connections of one source in a minute; 0: no limit */
};

enum listen_verdict {
	LISTEN_FINE,
	LISTEN_FULL,
	LISTEN_SOURCE_FULL,
	LISTEN_SOURCE_FAST,
};

/*
 * An empty table, in memory that is shared with all that are forked from now on, and a descriptor of that memory;
 * NULL with errno.
 */
struct listen_children *listen_children_new(int *ret_fd);

/* The table of an earlier image of the program; NULL when the descriptor has none. */
struct listen_children *listen_children_take(int fd);

/* From here on what is forked does not have the table. */
void listen_children_hide(struct listen_children *c);

/* The source of an address: IPv6 hosts have 64 bits to themselves. */
struct ip listen_source(const struct ip *ip);

/*
 * Judges one connection more, and counts it for the rate. Sources that are exempt, and those without an
 * address, have no limits of their own. `minute` is any count of minutes.
 */
enum listen_verdict listen_judge(struct listen_children *c,
	const struct listen_limits *limits, const struct ip *source, bool is_exempt,
	uint64_t minute);

/* One more, forked by the process `keeper`; listen_judge() has found a place. */
void listen_add(
	struct listen_children *c, pid_t keeper, pid_t pid, const struct ip *source);

/* One has ended, with that status of waitpid(2), whose topic is counted. False: it is not in the table. */
bool listen_remove(struct listen_children *c, pid_t pid, int status);

/*
 * Takes out what has ended without being taken out: for the listener, when an acceptor has ended. An entry stays
 * while its process, or the acceptor that waits for that, is a child of the caller, which adopts the children
 * of acceptors (PR_SET_CHILD_SUBREAPER).
 */
void listen_verify(struct listen_children *c);

size_t listen_count(const struct listen_children *c);

/* The topic of the last session that had a status, checked: the memory is written by other processes. */
enum topic listen_last_topic(const struct listen_children *c);

/* True of a status of waitpid(2) by whose signal a process may have ended that an attacker has tried to take over. */
bool listen_is_fault(int status);

#define LINGERING_MAX 32 /* at once; one more closes the oldest */
#define LINGERING_TIME 2000 /* milliseconds for each */
#define LINGERING_OCTETS (64 * 1024) /* read from each */

struct lingering {
	struct lingering_client {
		int fd;
		uint64_t until; /* by stream_clock() */
		size_t left; /* octets */
	} list[LINGERING_MAX]; /* the oldest first */
	size_t n;
};

/* Owns `fd` from here on, and gives it a number of at least `from`. The reply has been sent. */
void lingering_add(struct lingering *l, int fd, int from);

/* Fills in what poll() waits for; `n` entries. */
void lingering_prepare(const struct lingering *l, struct pollfd *fds);

/* Reads once from each that is ready in `fds`, and closes those that have come to an end. Never waits. */
void lingering_read(struct lingering *l, const struct pollfd *fds);

/* In how many milliseconds the oldest is to be closed; negative: there is none. */
int lingering_wait(const struct lingering *l);

void lingering_close_all(struct lingering *l);

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
	const struct preload *preload;
	struct listen_children *children;
	int signals; /* signalfd: SIGTERM, SIGINT, SIGHUP, SIGCHLD */
	int channel; /* SOCK_SEQPACKET to the listener; at its end the acceptor exits */
	int from; /* descriptors from this number on do not belong to connections */
	uint64_t alive; /* milliseconds in which some message must come; 0: none must */
};

struct kinds {
	struct connection *list[LISTEN_KINDS]; /* by kind; NULL: no socket is of it */
	struct connection *any; /* one of them: limits and log are the same for all */
	struct watch watch; /* what this process has opened, and may look at */
	size_t n_hidden; /* files that only the listener may look at */
};

/*
 * Prepares those that there are sockets of, with the rights the process begins with, and gives up what none
 * of them needs. What is wrong is told, and keeps connections from being served. 0 or -ENOMEM.
 */
int kinds_prepare(struct kinds *k, const struct acceptor_task *task);

/* True when connections of some kind are not served, or lack a table or the place for reports. */
bool kinds_are_unusable(const struct kinds *k);

/* Accepts until there is nothing left to do. The exit status. */
int acceptor_run(const struct acceptor_task *task);
