/* SPDX-License-Identifier: ISC */
/*
 * The acceptor: the process that accepts connections for a listener and forks a process
 * for each. It uses the settings of its start, and enters the sandbox before it accepts.
 * When a file has changed it asks the listener for a successor; when that is ready it
 * stops accepting, and ends with the last of its connections.
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
#include "smtp/record-tables.h"

/*
 * The table of connections: how many there are, and of which source. The listener shares
 * the memory with its acceptors, and passes it to the next image of the program. The
 * process that waits for the end of a connection (its acceptor, or the listener after
 * that has ended) removes the entry.
 */
#define LISTEN_CHILDREN_MAX 65536
/* Sources with a counted rate. A full set replaces the one with fewest connections. */
#define LISTEN_RATE_SETS_LOG 9
#define LISTEN_RATE_SETS (1 << LISTEN_RATE_SETS_LOG)
#define LISTEN_RATE_WAYS 8 /* sources in a set */
#define LISTEN_RATE_SECONDS 60

/* Exit status of a connection: LISTEN_STATUS + enum topic; or less: of sysexits.h. */
#define LISTEN_STATUS 128

struct listen_child {
	_Atomic pid_t pid; /* 0: the entry is free; negative: it is being filled in */
	pid_t keeper; /* its acceptor */
	struct ip source; /* IPv6 by its first 64 bits; no address for a local socket */
	bool is_proxy; /* the source may name its client */
	struct ip client; /* that it has named; or none */
	size_t n_reports; /* of failures */
};

/* New connections of one source in one minute. */
struct listen_rate {
	struct ip source;
	uint64_t minute;
	size_t n;
};

struct listen_children {
	_Atomic size_t n_used; /* entries from here on have never been used */
	_Atomic size_t n_so_far;
	_Atomic size_t n_checks; /* health checks of proxies among these */
	_Atomic unsigned last; /* enum topic of the last session that had a status */
	uint64_t rate_key; /* random, so that clients cannot choose their set */
	struct listen_rate rates[LISTEN_RATE_SETS][LISTEN_RATE_WAYS];
	struct listen_child list[LISTEN_CHILDREN_MAX];
};

/*
 * From 80 % of all places on the listener is crowded: a source may have fewer connections
 * the fewer places are free, and idle time-outs are shorter.
 */
#define LISTEN_FREE_PART 5 /* one of so many parts of all places */

struct listen_limits {
	size_t all; /* connections at once */
	size_t of_source; /* connections of one source at once; 0: no limit */
	size_t rate; /* new connections of one source in a minute; 0: no limit */
};

enum listen_verdict {
	LISTEN_FINE,
	LISTEN_FULL,
	LISTEN_SOURCE_FULL,
	LISTEN_SOURCE_FAST,
};

/* An empty table, shared with processes forked later, and its descriptor; NULL: errno. */
struct listen_children *listen_children_new(int *ret_fd);

/* The table of the previous image of the program; NULL when the descriptor has none. */
struct listen_children *listen_children_reuse(int fd);

/* Failures of sources: a part of the same memory. */
struct failures *listen_failures(struct listen_children *c);

/* The same for connections, which cannot write to it; `fd` is of the table. Or NULL. */
const struct failures *listen_failures_view(int fd);

/* Processes that are forked later do not have the table. */
void listen_children_hide(struct listen_children *c);

/* The source that an address belongs to: of IPv6 the first 64 bits. */
struct ip listen_source(const struct ip *ip);

/*
 * Checks the limits for one more connection, and counts it for the rate. Exempt sources,
 * and those without an address, have no limits of their own. `minute` is any count of
 * minutes.
 */
enum listen_verdict listen_judge(struct listen_children *c,
	const struct listen_limits *limits, const struct ip *source, bool is_exempt,
	uint64_t minute);

/*
 * Adds a connection that the process `keeper` forked after listen_judge() found room. A
 * proxy may name another client.
 */
void listen_add(struct listen_children *c, pid_t keeper, pid_t pid,
	const struct ip *source, bool is_proxy);

/*
 * Counts what the connection `pid` has reported. It accuses its own source, or the client
 * that its proxy has named first, whatever it writes.
 */
void listen_count_report(struct listen_children *c, pid_t pid,
	const struct failure_report *report, const struct failure_limits *limits,
	uint64_t now);

/* Counts a crash of the connection `pid`, before it is removed. */
void listen_count_crash(struct listen_children *c, pid_t pid,
	const struct failure_limits *limits, uint64_t now);

/* Notes for connections whether most places of `all` are taken. */
void listen_note_crowd(struct listen_children *c, size_t all);

/* Removes an ended connection and counts its wait status. False: not in the table. */
bool listen_remove(struct listen_children *c, pid_t pid, int status);

/*
 * Removes connections that ended while no process waited for them: called by the listener
 * when an acceptor has ended. An entry stays while its process or its acceptor is a child
 * of the caller, which adopts the children of acceptors (PR_SET_CHILD_SUBREAPER).
 */
void listen_verify(struct listen_children *c);

size_t listen_count(const struct listen_children *c);

/* The topic of the last session with a status; checked, as others write the memory. */
enum topic listen_last_topic(const struct listen_children *c);

/* True of a status of waitpid(2) with a signal that an attack may cause. */
bool listen_is_fault(int status);

/*
 * Refused clients whose connection is still open. Closing a socket with unread input
 * resets the connection, and the client may lose the reply; so the input is read and
 * dropped, within limits, while other clients are served.
 */
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

/* Adds a client that has got the reply. Owns `fd`; its number becomes `from` or more. */
void lingering_add(struct lingering *l, int fd, int from);

/* Fills in `n` entries for poll(). */
void lingering_prepare(const struct lingering *l, struct pollfd *fds);

/*
 * Reads once from each that is ready in `fds`, and closes those that are done. Never
 * waits.
 */
void lingering_read(struct lingering *l, const struct pollfd *fds);

/* In how many milliseconds the oldest must be closed; negative: there is none. */
int lingering_wait(const struct lingering *l);

void lingering_close_all(struct lingering *l);

#define ACCEPTOR_COUNTS_EVERY 1000 /* milliseconds */
/* milliseconds without the listener's answer, after which the acceptor goes on */
#define ACCEPTOR_ANSWER_TIME 5000
/* milliseconds without accept() after it has failed for a reason that may last */
#define ACCEPTOR_PAUSE 100

enum acceptor_word {
	ACCEPTOR_READY,
	ACCEPTOR_COUNTS, /* counters have changed, or just a sign of life */
	/* after these three the acceptor waits for an answer before it accepts again */
	ACCEPTOR_CHANGED, /* a file has changed: a successor is needed */
	ACCEPTOR_UNUSABLE, /* its settings cannot be used, but may be usable now */
	ACCEPTOR_FAULT, /* a connection crashed: the listener may execute itself again */
};

/* From acceptor to listener, which checks every value. */
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
	uint64_t wait; /* milliseconds before it may ask for a successor again */
};

struct acceptor_task {
	const struct options *options;
	const struct inherited *inherited;
	const char *modules; /* directory of modules */
	const struct listen_sockets *sockets;
	struct preload *preload; /* hands over channels to its agents */
	struct listen_children *children;
	const struct failures *failures; /* for connections; NULL: they cannot see them */
	int signals; /* signalfd: SIGTERM, SIGINT, SIGHUP, SIGCHLD */
	int channel; /* SOCK_SEQPACKET to the listener; when closed the acceptor exits */
	int from; /* descriptors from this number on do not belong to connections */
	uint64_t alive; /* greatest interval of messages in milliseconds; 0: no limit */
};

/* The connections that an acceptor has prepared: each client gets a fork of one. */
struct prepared {
	struct connection *list[LISTEN_KINDS]; /* by kind; NULL: no socket is of it */
	struct connection *any; /* one of them; limits and log are equal in all */
	struct watch watch; /* files that this process has opened and may look at */
	size_t n_hidden; /* files that only the listener may look at */
};

/*
 * Prepares a connection for each kind that there are sockets of, and enters the sandbox.
 * A fault is recorded, and the connections of that kind are then refused. 0 or -ENOMEM.
 */
int prepared_init(struct prepared *p, const struct acceptor_task *task);

/* True when some connections are refused, or lack a table of AUTH or the outbox. */
bool prepared_is_unusable(const struct prepared *p);

/* Runs the acceptor. Returns its exit status. */
int acceptor_run(const struct acceptor_task *task);
