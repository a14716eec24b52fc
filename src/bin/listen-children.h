/*
 * The connections of a listener: how many there are, and whose. They are counted in memory that the listener
 * shares with the processes that accept for it; at any time one of these adds, and each takes off its own.
 */
#pragma once

#include <sys/types.h>
#include "proto/network.h"

#define LISTEN_CHILDREN_MAX 65536
#define LISTEN_RATE_SLOTS 4096 /* sources whose rate is counted; others share a slot */
#define LISTEN_RATE_SECONDS 60

struct listen_child {
	_Atomic pid_t pid; /* 0: there is none */
	pid_t keeper; /* whose child it is */
	struct ip source; /* IPv6 by its first 64 bits; no address for a local socket */
};

/* Connections of one source in the present minute. */
struct listen_rate {
	struct ip source;
	uint64_t minute;
	size_t n;
};

struct listen_children {
	_Atomic size_t n_used; /* no place from here on was ever taken */
	_Atomic size_t n_so_far;
	_Atomic unsigned last; /* enum topic: of the sessions that had a status */
	struct listen_rate rates[LISTEN_RATE_SLOTS];
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

/* None yet, in memory that is shared with all that are forked from now on; or NULL. */
struct listen_children *listen_children_new(void);

/* From here on what is forked does not have them. */
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

/* One more, of the process `keeper`; listen_judge() has found a place. */
void listen_add(
	struct listen_children *c, pid_t keeper, pid_t pid, const struct ip *source);

/* False: it was none of ours. */
bool listen_remove(struct listen_children *c, pid_t pid);

/* The process is gone, and nobody waits for its children. */
void listen_remove_all(struct listen_children *c, pid_t keeper);

size_t listen_count(const struct listen_children *c);
