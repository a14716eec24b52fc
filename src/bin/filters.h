/* SPDX-License-Identifier: ISC */
/* The filters of a connection: loads their module, and puts their stage into its list. */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include "edge/milter/milter.h"

#define FILTERS_KINDS_MAX 8 /* of connections of a listener */
#define LOOKUP_FILE "/etc/resolv.conf" /* has the name servers */
#define FILTERS_DELIVERY_MAX 2 /* the Maildirs, and the outbox of reports */

struct brokered;
struct filters_facts;
struct log;
struct maildir;
struct policy;
struct session;
struct stream;

/* Where the filters are needed. What it points to outlives them. */
struct filters_place {
	const char *path; /* of the file with the filters */
	const char *state_directory; /* of this service; NULL: there is none */
	const char *modules; /* the directory of modules */
	struct session *session; /* gets the name of its client */
	struct account owner; /* as whom the process reads from its client */
	struct stream *stream; /* its stop signal and end hold for filters, too */
	struct log *log;
	struct policy *policy; /* decides on domains of recipients that filters add */
	struct maildir *maildir;
	struct brokered *brokered; /* in its place; NULL: no broker delivers */
	const char *quarantine; /* the mailbox, below mail-root; NULL: there is none */
	bool looks_up; /* the name of the client */
	bool spares; /* lines of the table of recipients may have milters=off */
};

struct filters {
	const struct milter_api *api;
	struct stage *stage; /* asks the filters; it has the stages that deliver in it */
	struct stage *delivery[FILTERS_DELIVERY_MAX];
	size_t n_delivery;
	const struct filters_facts *facts; /* for records */
	struct milter_directory directory; /* which the sandbox is to allow */
	struct filters_place place;
};

/*
 * Loads the module and reads the file, with the rights of the connection and before its
 * sandbox; a listener does so once for all connections. In the list the stage of the
 * filters takes the place of those that deliver, which begin with `first`. Owned by the
 * caller; NULL: a fault was recorded, and no mail may be received that they are set for.
 */
struct filters *filters_open(const struct filters_place *place, struct stage **stages,
	size_t *n_stages, const struct stage *first);

/*
 * In the process of the connection, before it reads from its client. A connection of a
 * listener has a channel to the connector, or -errno, and all others MILTER_OWN_SOCKETS.
 * NULL is none.
 */
void filters_connect(struct filters *f, int channel);

/* Goes on with the look-up of the client's name; never waits. NULL is none. */
void filters_use_time(struct filters *f);

/*
 * The connector: a process that makes the sockets for connections of a listener, which
 * cannot make any in their sandbox. It ends with its control.
 */
struct connector {
	int control; /* SOCK_SEQPACKET; -1: there is none, or it is of no use any more */
	pid_t pid;
	bool in_doubt; /* requests were sent since it was last asked */
	/* by the monotonic clock, in milliseconds: */
	uint64_t asked; /* since when an answer is due; 0: none is */
	uint64_t answered; /* when the last one came */
};

/*
 * Milliseconds. One that gets requests is asked so often whether it reads them. Without
 * an answer within the second time it hangs: its connections wait no longer, either.
 */
#define CONNECTOR_ASKED_EVERY 1000
#define CONNECTOR_ANSWER_TIME 2000

/*
 * Forks it, with the rights of the caller; it then enters the sandbox, if `sandbox`. The
 * list is of all kinds of connections, NULL where one has no filters. Descriptors are
 * numbered `from` or higher. 0 or -errno.
 */
int filters_start_connector(struct connector *ret, struct filters *const *list, size_t n,
	bool sandbox, int from);

/* A channel for a connection of that number in the list, or -errno. Never waits. */
int filters_open_channel(struct connector *c, size_t which, uint64_t now);

/* Reads its answer, or asks for one if it is time. False: it hangs. Never waits. */
bool filters_watch_connector(struct connector *c, uint64_t now);

/* Milliseconds until that is to be called, even if nothing is to be read; -1: never. */
int filters_connector_wait(const struct connector *c, uint64_t now);

/*
 * The client wants none, and nothing was sent to them yet: closes them, and puts the
 * stages that deliver into the list again.
 */
void filters_leave_out(struct filters **f, struct stage **stages, size_t *n_stages);

/* Ends the conversations with filters, at the end of the session. NULL is none. */
void filters_end(struct filters *f);

/* Closes and frees all. NULL is none. */
void filters_close(struct filters *f);
