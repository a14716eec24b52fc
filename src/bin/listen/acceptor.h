/* SPDX-License-Identifier: ISC */
/*
 * The acceptor: the process that accepts connections for a listener and forks a process
 * for each. It uses the settings of its start, and enters the sandbox before it accepts.
 * When a file has changed, it requests a successor from the listener. When this one is
 * ready, it stops accepting, and ends with its last connection.
 */
#pragma once

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "bin/connection.h"
#include "bin/filters.h"
#include "bin/listen/sockets.h"
#include "bin/options.h"
#include "bin/preload.h"
#include "proto/network.h"
#include "smtp/record-tables.h"

/*
 * The table of connections, with their sources. The listener shares its memory with the
 * acceptors, and passes it to the next image of the program. The parent of a connection
 * removes its entry: its acceptor, or the listener when the acceptor has ended.
 */
#define LISTEN_CHILDREN_MAX 65536
/*
 * Sources with a counted rate. In a full set the one with the fewest connections is
 * replaced.
 */
#define LISTEN_RATE_SETS_LOG 9
#define LISTEN_RATE_SETS (1 << LISTEN_RATE_SETS_LOG)
#define LISTEN_RATE_WAYS 8 /* sources in a set */
#define LISTEN_RATE_SECONDS 60

/*
 * Exit status of a connection: LISTEN_STATUS + enum topic, or a lower one of sysexits.h.
 */
#define LISTEN_STATUS 128

struct listen_child {
	_Atomic pid_t pid; /* 0: the entry is free; negative: it is being filled in */
	pid_t keeper; /* process of its acceptor */
	struct ip source; /* IPv6 by its first 64 bits; no address for a local socket */
	/* failures are not its own: a proxy may name its client; one of LMTP has none */
	bool is_relay;
	struct ip client; /* client whose address the source sent; or none */
	size_t n_reports; /* reports of failures that were counted */
};

/* The new connections of one source in one minute. */
struct listen_rate {
	struct ip source;
	uint64_t minute;
	size_t n;
};

struct listen_children {
	_Atomic size_t n_used; /* number of entries that have ever been used */
	_Atomic size_t n_so_far;
	/* health checks of proxies, which n_so_far also counts */
	_Atomic size_t n_checks;
	_Atomic size_t places; /* connection-limit of the acceptor that accepts */
	_Atomic unsigned last; /* enum topic of the last session that had a status */
	uint64_t rate_key; /* random, so that clients cannot choose their set */
	struct listen_rate rates[LISTEN_RATE_SETS][LISTEN_RATE_WAYS];
	struct listen_child list[LISTEN_CHILDREN_MAX];
};

/*
 * When 80 % of all places are taken, the listener is crowded: the limit for a source
 * decreases with the number of free places, and timeouts without input are shorter.
 */
#define LISTEN_FREE_PART 5 /* crowded when less than one of 5 parts is free */

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

/*
 * Makes an empty table, which is shared with processes that are forked later, and its
 * descriptor. NULL: errno.
 */
struct listen_children *listen_children_new(int *ret_fd);

/* Maps the table of the previous image of the program; NULL: the descriptor has none. */
struct listen_children *listen_children_reuse(int fd);

/* Returns the failures of sources, a part of the same memory. */
struct failures *listen_failures(struct listen_children *c);

/*
 * Maps the failures of sources for connections, read-only; `fd` is the table's. NULL:
 * error.
 */
const struct failures *listen_failures_view(int fd);

/* Hides the table from processes that are forked later. */
void listen_children_hide(struct listen_children *c);

/* Returns the source of an address: of IPv6 the first 64 bits. */
struct ip listen_source(const struct ip *ip);

/*
 * Checks the limits for one more connection, and counts it for the rate. Exempt sources,
 * and sources without an address, have no limits of their own. `minute` is the current
 * minute of any clock.
 */
enum listen_verdict listen_judge(struct listen_children *c,
	const struct listen_limits *limits, const struct ip *source, bool is_exempt,
	uint64_t minute);

/*
 * Adds a connection that the process `keeper` forked after listen_judge() found room.
 * `is_relay`: failures do not count for the source, but for the client that it names.
 */
void listen_add(struct listen_children *c, pid_t keeper, pid_t pid,
	const struct ip *source, bool is_relay);

/*
 * Counts a report of the connection `pid`. The failures count for its own source, or for
 * the first client that its proxy named, whatever the report contains.
 */
void listen_count_report(struct listen_children *c, pid_t pid,
	const struct failure_report *report, const struct failure_limits *limits,
	uint64_t now);

/* Counts a crash of the connection `pid`, before it is removed. */
void listen_count_crash(struct listen_children *c, pid_t pid,
	const struct failure_limits *limits, uint64_t now);

/*
 * Stores, for connections, whether most places of `all` are taken. 0: of as many as the
 * acceptor that accepts has stored last; earlier ones may have another limit.
 */
void listen_note_crowd(struct listen_children *c, size_t all);

/* Removes an ended connection and counts its wait status. False: not in the table. */
bool listen_remove(struct listen_children *c, pid_t pid, int status);

/*
 * Removes connections that ended after their acceptor; called by the listener when an
 * acceptor has ended. An entry stays while its process or its acceptor is a child of the
 * caller, which adopts the children of acceptors (PR_SET_CHILD_SUBREAPER).
 */
void listen_verify(struct listen_children *c);

size_t listen_count(const struct listen_children *c);

/*
 * Returns the topic of the last session with a status. The value is checked, because
 * acceptors write to the memory.
 */
enum topic listen_last_topic(const struct listen_children *c);

/* True for a status of waitpid(2) with a signal that an attack may cause. */
bool listen_is_fault(int status);

/*
 * Refused clients whose connection is still open. If a socket is closed with unread
 * input, the connection is reset and the client may not get the reply. So the input is
 * read and dropped, within limits, while other clients are served.
 */
#define LINGERING_MAX 32 /* clients at once; one more closes the oldest */
#define LINGERING_TIME 2000 /* milliseconds for each */
#define LINGERING_OCTETS (64 * 1024) /* octets that are read from each */

struct lingering {
	struct lingering_client {
		int fd;
		uint64_t until; /* time by stream_clock() */
		size_t left; /* octets that may still be read */
	} list[LINGERING_MAX]; /* oldest clients first */
	size_t n;
};

/*
 * Adds a client that got its reply. Takes `fd` over, and changes its number to `from` or
 * more.
 */
void lingering_add(struct lingering *l, int fd, int from);

/* Fills in `n` entries for poll(). */
void lingering_prepare(const struct lingering *l, struct pollfd *fds);

/*
 * Reads once from each client that is ready in `fds`, and closes clients that are done.
 * Never waits.
 */
void lingering_read(struct lingering *l, const struct pollfd *fds);

/* Returns the milliseconds until the oldest must be closed; negative: there is none. */
int lingering_wait(const struct lingering *l);

void lingering_close_all(struct lingering *l);

#define ACCEPTOR_COUNTS_EVERY 1000 /* milliseconds */
/* milliseconds without an answer of the listener, after which the acceptor continues */
#define ACCEPTOR_ANSWER_TIME 5000
/* milliseconds without accept() after an error that may persist */
#define ACCEPTOR_PAUSE 100

enum acceptor_word {
	ACCEPTOR_READY,
	ACCEPTOR_COUNTS, /* counters have changed, or just a sign of life */
	/* after these five the acceptor waits for an answer before it accepts again */
	ACCEPTOR_CHANGED, /* a file has changed: a successor is needed */
	ACCEPTOR_UNUSABLE, /* its settings are unusable, but may be usable now */
	ACCEPTOR_BROKERLESS, /* its broker has ended */
	ACCEPTOR_HANGS, /* its broker waits for a file system that does not answer */
	ACCEPTOR_FAULT, /* a connection crashed: the listener may execute itself again */
};

/* A message of an acceptor to the listener, which checks every value. */
struct acceptor_message {
	enum acceptor_word word;
	pid_t pid; /* ACCEPTOR_FAULT: the process */
	int signal;
	bool hides; /* ACCEPTOR_READY: there are files that it cannot watch */
	int place; /* ACCEPTOR_HANGS: that of its broker */
};

enum acceptor_order {
	ACCEPTOR_GO_ON, /* continue as before */
	ACCEPTOR_LEAVE, /* a successor accepts */
};

/* An answer of the listener to an acceptor. */
struct acceptor_answer {
	enum acceptor_order order;
	uint64_t wait; /* milliseconds before it may request a successor again */
};

struct acceptor_task {
	const struct options *options;
	const struct inherited *inherited;
	const char *modules; /* directory of modules */
	const struct listen_sockets *sockets;
	struct preload *preload; /* with the agents, to which channels are handed over */
	struct listen_children *children;
	struct hangs *hangs; /* of brokers; NULL: there is none */
	/* read-only, for connections; NULL: they have none */
	const struct failures *failures;
	int signals; /* signalfd: SIGTERM, SIGINT, SIGHUP, SIGCHLD */
	/* SOCK_SEQPACKET to the listener; the acceptor exits when it is closed */
	int channel;
	int from; /* descriptors from this number on do not belong to connections */
	/* longest interval between messages in milliseconds; 0: no limit */
	uint64_t alive;
};

/*
 * The connections that an acceptor has prepared. For each client one of them is forked.
 */
struct prepared {
	/* by kind; NULL: no socket has this kind */
	struct connection *list[LISTEN_KINDS];
	struct connection *any; /* one of these; limits and log are the same in all */
	int broker; /* control of the broker; or -errno: there is none */
	int place; /* of the broker in the table of hangs; -1: none */
	struct watch watch; /* files that this process has opened and may examine */
	size_t n_hidden; /* files that only the listener may examine */
	struct connector connector; /* where connections have filters */
	bool lacks_connector; /* there should be one, and it could not be started */
	bool lost_connector; /* it has ended, or hangs: filters cannot be asked */
};

/*
 * Prepares a connection for each kind of socket in use, and enters the sandbox. After a
 * fault, which is recorded, connections of that kind are refused. 0 or -ENOMEM.
 */
int prepared_init(struct prepared *p, const struct acceptor_task *task);

/*
 * True when some connections are refused, or lack a table of AUTH, the outbox or the
 * connector.
 */
bool prepared_is_unusable(const struct prepared *p);

/*
 * The connector is of no use any more, which is recorded. One that hangs is not killed
 * here: this process has no right to do that.
 */
void prepared_lose_connector(struct prepared *p, const char *what);

/* Reads its answer, asks it when it is time, and loses one that hangs. */
void prepared_watch_connector(struct prepared *p, bool is_readable);

/* Runs the acceptor. Returns its exit status. */
int acceptor_run(const struct acceptor_task *task);
