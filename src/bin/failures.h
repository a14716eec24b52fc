/* SPDX-License-Identifier: ISC */
/*
 * Failures of sources. Failed logins, refused recipients and crashed connections are
 * counted for each source of clients, in a table that the acceptors of a listener share.
 * Connections can only read it. They report their own failures to their acceptor, which
 * finds the source by the process. A process for one connection has no table.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "edge/settings/settings.h"

enum failure {
	FAILURE_LOGIN,
	FAILURE_RECIPIENT,
	FAILURE_CRASH,
	FAILURES, /* the number of kinds; also: none of them */
};

struct failure_limits {
	/* limits of one source; 0: no limit, and failures are not counted */
	size_t most[FAILURES];
	uint64_t time; /* milliseconds after which as many failures are forgotten */
};

/*
 * A new source gets a free or mostly forgotten entry of its set. Entries that are more
 * than half full are not replaced. To remove its own entry, a client would therefore need
 * 8 other sources in the same set, and the key of the sets is secret. A source without an
 * entry is not counted.
 */
#define FAILURE_SETS_LOG 12
#define FAILURE_SETS (1 << FAILURE_SETS_LOG)
#define FAILURE_WAYS 8 /* sources in a set */

/* A failure adds a part of `time` to the moment when all are forgotten. */
struct failure_entry {
	struct ip source; /* of IPv6 only the first 64 bits are significant */
	uint64_t until[FAILURES]; /* milliseconds of stream_clock() */
};

struct failures {
	/* most places of the listener are taken: timeouts are shorter */
	_Atomic uint32_t is_crowded;
	uint64_t key; /* random, so that clients cannot choose their set */
	struct failure_entry sets[FAILURE_SETS][FAILURE_WAYS];
};

struct failure_limits failure_limits_of(const struct config *c);

/* Returns the name of the setting with that limit. */
const char *failure_setting(enum failure kind);

/* Counts `n` failures. A source without an address is not counted. */
void failures_add(struct failures *f, const struct failure_limits *limits,
	const struct ip *source, enum failure kind, size_t n, uint64_t now);

/* Returns the number of failures that are not forgotten; at most the limit. */
size_t failures_count(const struct failures *f, const struct failure_limits *limits,
	const struct ip *source, enum failure kind, uint64_t now);

/* Returns the first kind whose limit the source has reached, or FAILURES. */
enum failure failures_exceeded(const struct failures *f,
	const struct failure_limits *limits, const struct ip *source, uint64_t now);

/* Reports of one connection: the most that it sends, and that its acceptor counts. */
#define FAILURE_REPORTS_MAX 1000
#define FAILURE_REPORTED_MAX 1000 /* failures of one kind in one report */

/*
 * A report of a connection to its acceptor, which identifies the sender by
 * SCM_CREDENTIALS.
 */
struct failure_report {
	/* the client that a proxy named; after the first value the others are ignored */
	struct ip client;
	/* failures since the last report; FAILURE_CRASH is not counted */
	uint32_t n[FAILURES];
};

/*
 * The access of a connection to the table. All zero: it has no table, and does not
 * report.
 */
struct failure_link {
	const struct failures *table; /* read-only memory */
	int channel; /* socket to the acceptor, shared by all; 0: nothing is reported */
	struct ip source; /* no address: nothing is reported */
	bool is_named; /* a proxy sent the address */
	size_t n_judged; /* failures of this session when the source was last judged */
	size_t n_sent; /* reports that were sent */
	size_t reported[FAILURES];
};

/*
 * Begins a session of a client. `is_named`: a proxy sent its address, which is reported
 * to the acceptor before octets of the client are read. False when the source has reached
 * a limit.
 */
bool failure_link_begin(struct failure_link *l, const struct failure_limits *limits,
	const struct ip *client, bool is_named, uint64_t now);

/*
 * Reports the new failures of this session; `n` has all of each kind. True when the
 * source must be judged: there was one since it was last judged. `is_judged_later`: it is
 * judged at the next step, too, when the acceptor has counted the failure.
 */
bool failure_link_report(
	struct failure_link *l, const size_t n[FAILURES], bool is_judged_later);
