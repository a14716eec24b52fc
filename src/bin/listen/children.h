/*
 * The table of a listener's connections: how many there are, and of which source. It lies in memory that the
 * listener shares with its acceptors and hands over to the next image of the program. Each process that waits
 * for a connection's end (the acceptor that forked it, and the listener when that has gone) takes it out.
 */
#pragma once

#include <sys/types.h>
#include "proto/network.h"
#include "smtp/record-tables.h"

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
