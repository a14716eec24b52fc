/* SPDX-License-Identifier: ISC */
/*
 * The listener: the process of `postern --listen` that keeps the sockets, its acceptors,
 * and how it executes itself again. listen.c sets it up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "bin/inherit.h"
#include "bin/listen/acceptor.h"
#include "bin/listen/sockets.h"
#include "edge/log/log.h"
#include "edge/module.h"
#include "edge/settings/settings.h"

/*
 * Restarts: a minimum interval, which doubles with each restart up to a maximum, and
 * begins again after a quiet time. All times are milliseconds of stream_clock().
 */
struct restart_terms {
	size_t n_free; /* restarts without an interval after a quiet time */
	uint64_t least, most; /* first and longest interval */
	uint64_t quiet; /* time without a restart that resets all; more than `most` */
};

struct restarts {
	uint64_t last; /* 0: none yet */
	uint64_t interval; /* minimum time after the last */
	size_t n; /* since the last quiet time */
	bool is_recorded; /* a record since then has that restarts wait */
};

/* In how many milliseconds the next is allowed; 0: now. */
uint64_t restart_wait(
	const struct restarts *r, const struct restart_terms *terms, uint64_t now);

/* Counts a restart that is done now. */
void restart_note(struct restarts *r, const struct restart_terms *terms, uint64_t now);

/*
 * The acceptors: one accepts; a successor may be starting; others wait for the end of
 * their connections.
 */
#define ACCEPTORS_MAX 16 /* one more ends the oldest; its connections go on */

enum acceptor_state {
	ACCEPTOR_STARTING,
	ACCEPTOR_ACCEPTING,
	ACCEPTOR_LEAVING,
};

struct acceptor_process {
	pid_t pid;
	int channel; /* SOCK_SEQPACKET */
	enum acceptor_state state;
	uint64_t started; /* stream_clock() */
};

struct acceptors {
	struct acceptor_process list[ACCEPTORS_MAX];
	size_t n;
	int from; /* least number of a descriptor */
};

/*
 * Forks an acceptor, which is then starting. Returns 0 in the new process, which has only
 * its own channel, in *ret_channel; otherwise its number, or -errno.
 */
pid_t acceptors_fork(struct acceptors *a, int *ret_channel);

/* The acceptor in that state, or NULL; not for ACCEPTOR_LEAVING, which several have. */
struct acceptor_process *acceptors_find(struct acceptors *a, enum acceptor_state state);

/* Sends an answer, without waiting. NULL is ignored. */
void acceptors_answer(
	const struct acceptor_process *p, enum acceptor_order order, uint64_t wait);

/* Makes the acceptor the one that accepts; the one before stops accepting. */
void acceptors_switch_to(struct acceptors *a, struct acceptor_process *p);

/* Removes an ended acceptor. False when it is none; else *ret_state is its last state. */
bool acceptors_remove(struct acceptors *a, pid_t pid, enum acceptor_state *ret_state);

/* Sends a signal to all. */
void acceptors_kill(const struct acceptors *a, int signal);

struct listen_manager {
	struct notify notify;
	uint64_t watchdog; /* milliseconds between WATCHDOG=1; 0: none is sent */
	uint64_t alive; /* when the last was sent, by stream_clock() */
};

/*
 * The reason for executing the program again: the word in LISTEN_RENEWED; after "fault"
 * come its restarts.
 */
#define LISTEN_AT_START "start"
#define LISTEN_BY_FAULT "fault"

struct listen_renewal {
	const struct listen_sockets *sockets;
	const struct inherited *inherited;
	char **argv;
	const char *why; /* LISTEN_AT_START or LISTEN_BY_FAULT */
	int table; /* of LISTEN_BY_FAULT: the descriptor of the table of connections */
	const struct restarts *faults; /* of LISTEN_BY_FAULT */
};

/*
 * Executes the program again. Returns only on failure: -errno; copies of descriptors may
 * be left at 3 and on.
 */
int renew_execute(const struct listen_renewal *r);

/*
 * In the new image: reads what the previous one passed. False when it was not executed by
 * itself. The table is the descriptor behind the last socket; -1: there is none.
 */
bool renew_resume(
	const struct inherited *inherited, int *ret_table, struct restarts *ret_faults);

struct listener {
	const struct options *options;
	const struct inherited *inherited;
	char **argv;
	char modules[MODULE_PATH_MAX];
	struct listen_sockets sockets;
	struct preload preload;
	struct listen_manager manager;
	int signals;
	struct listen_children *children;
	int table; /* its descriptor */
	const struct failures *failures; /* a part of it, which cannot be written to */
	struct acceptors acceptors;
	struct restarts ended, changed, failed; /* of acceptors */
	struct restarts agents; /* of key agents that have ended */
	bool lacks_agents; /* which is known, and recorded */
	struct restarts faults; /* of the program */
	bool hides; /* there are files that the acceptor cannot watch */
	uint64_t looked; /* when they were checked last */
	bool over;
};

/* Writes a record; ctx is the listener. */
void listener_report(void *ctx, const char *text);

/* Looks up the directory of modules; again where modules could not be loaded. */
void listener_find_modules(struct listener *l);

/* Runs until a signal ends it. Connections go on. */
void listener_run(struct listener *l);
