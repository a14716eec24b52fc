/* SPDX-License-Identifier: ISC */
/*
 * Failures of sources: failed log-ins, refused recipients and crashed connections are
 * counted for each source of clients, in a table that the acceptors of a listener share.
 * Connections may read it; they report their own failures to their acceptor, which knows
 * the process, and with it the source. A process that serves one connection has no table.
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
	FAILURES, /* none of them */
};

struct failure_limits {
	size_t most[FAILURES]; /* of a source; 0: no limit, and nothing is counted */
	uint64_t time; /* milliseconds after which that many are forgotten */
};

/*
 * A set with a free or mostly forgotten entry takes a new source. Entries that are more
 * than half full stay: a client cannot push its own entry out by failures of other
 * sources, unless it has 8 of them in one set, and the key of the sets is secret. A
 * source that finds no entry is not counted.
 */
#define FAILURE_SETS_LOG 12
#define FAILURE_SETS (1 << FAILURE_SETS_LOG)
#define FAILURE_WAYS 8 /* sources in a set */

/* A failure adds a part of `time` to the moment when all are forgotten. */
struct failure_entry {
	struct ip source; /* of IPv6 the first 64 bits count */
	uint64_t until[FAILURES]; /* milliseconds of stream_clock() */
};

struct failures {
	/* most places of the listener are taken: clients are waited for less long */
	_Atomic uint32_t is_crowded;
	uint64_t key; /* random, so that clients cannot choose their set */
	struct failure_entry sets[FAILURE_SETS][FAILURE_WAYS];
};

struct failure_limits failure_limits_of(const struct config *c);

/* The name of the setting with that limit. */
const char *failure_setting(enum failure kind);

/* Counts `n` more. A source without an address is not counted. */
void failures_add(struct failures *f, const struct failure_limits *limits,
	const struct ip *source, enum failure kind, size_t n, uint64_t now);

/* How many are not forgotten; at most the limit. */
size_t failures_count(const struct failures *f, const struct failure_limits *limits,
	const struct ip *source, enum failure kind, uint64_t now);

/* The first kind whose limit the source has reached, or FAILURES. */
enum failure failures_exceeded(const struct failures *f,
	const struct failure_limits *limits, const struct ip *source, uint64_t now);

/* Messages that an acceptor counts of one connection, and that one sends. */
#define FAILURE_REPORTS_MAX 1000
#define FAILURE_REPORTED_MAX 1000 /* failures of one kind in one message */

/* From a connection to its acceptor, which knows the sender by SCM_CREDENTIALS. */
struct failure_report {
	struct ip client; /* the first that a proxy has named; later ones are ignored */
	uint32_t n[FAILURES]; /* since the last; of FAILURE_CRASH none */
};

/* What a connection has of all this. Zeroed: it has no table, and reports nothing. */
struct failure_link {
	const struct failures *table; /* that it cannot write to */
	int channel; /* to the acceptor, shared by all; 0: nothing is reported */
	struct ip source; /* no address: nothing is reported */
	size_t n_sent; /* messages */
	size_t reported[FAILURES];
};

/*
 * Begins a session of that client; `is_named` by a proxy: the acceptor is told before
 * octets of the client are read. False when its source has reached a limit.
 */
bool failure_link_begin(struct failure_link *l, const struct failure_limits *limits,
	const struct ip *client, bool is_named, uint64_t now);

/* Reports failures of this session that are new; it had `n` of each kind in all. */
void failure_link_report(struct failure_link *l, const size_t n[FAILURES]);
