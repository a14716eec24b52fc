/* The connections of a listener: how many there are, and whose. */
#pragma once

#include <sys/types.h>
#include "proto/network.h"

#define LISTEN_RATE_SLOTS 4096 /* sources whose rate is counted; others share a slot */
#define LISTEN_RATE_SECONDS 60

struct listen_child {
	pid_t pid;
	struct ip source; /* IPv6 by its first 64 bits; no address for a local socket */
};

/* Connections of one source in the present minute. */
struct listen_rate {
	struct ip source;
	uint64_t minute;
	size_t n;
};

struct listen_children {
	struct listen_child *list;
	size_t n, cap;
	struct listen_rate rates[LISTEN_RATE_SLOTS];
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

/* The source of an address: IPv6 hosts have 64 bits to themselves. */
struct ip listen_source(const struct ip *ip);

/*
 * Judges one connection more, and counts it for the rate. Sources that are exempt, and those without an
 * address, have no limits of their own. `minute` is any count of minutes.
 */
enum listen_verdict listen_judge(struct listen_children *c,
	const struct listen_limits *limits, const struct ip *source, bool is_exempt,
	uint64_t minute);

/* 0 or -ENOMEM. */
int listen_add(struct listen_children *c, pid_t pid, const struct ip *source);

/* False: it was none of ours. */
bool listen_remove(struct listen_children *c, pid_t pid);
