/* SPDX-License-Identifier: ISC */
/*
 * The listener: the process of `postern --listen` that keeps the sockets, its acceptors,
 * and its renewal by executing itself again. listen.c sets it up.
 */
#pragma once

#include <signal.h>
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
 * Restarts have a minimum interval, which doubles with each restart up to a maximum, and
 * is reset after a quiet time. All times are milliseconds of stream_clock().
 */
struct restart_terms {
	size_t n_free; /* restarts without an interval after a quiet time */
	uint64_t least, most; /* first and longest interval */
	/* time without a restart after which the interval is reset; more than `most` */
	uint64_t quiet;
};

struct restarts {
	uint64_t last; /* time of the last restart; 0: none yet */
	uint64_t interval; /* minimum time after the last restart */
	size_t n; /* restarts since the last quiet time */
	bool is_recorded; /* a record since then reports that restarts are delayed */
};

/* Returns the milliseconds until the next restart is allowed; 0: now. */
uint64_t restart_wait(
	const struct restarts *r, const struct restart_terms *terms, uint64_t now);

/* Counts a restart at this moment. */
void restart_note(struct restarts *r, const struct restart_terms *terms, uint64_t now);

/*
 * The acceptors: one accepts, a successor may be starting, and older ones wait for the
 * end of their connections.
 */
#define ACCEPTORS_MAX 16 /* one more ends the oldest, whose connections continue */

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
	int from; /* first number for descriptors */
};

/*
 * Forks an acceptor, whose state is then "starting". Returns 0 in the new process, which
 * has only its own channel, *ret_channel; in the caller its process number, or -errno.
 */
pid_t acceptors_fork(struct acceptors *a, int *ret_channel);

/*
 * Returns the acceptor in that state, or NULL. Not for ACCEPTOR_LEAVING, because several
 * can have it.
 */
struct acceptor_process *acceptors_find(struct acceptors *a, enum acceptor_state state);

/* Sends an answer, without waiting. `p` may be NULL. */
void acceptors_answer(
	const struct acceptor_process *p, enum acceptor_order order, uint64_t wait);

/* Makes this acceptor accept, and the previous one stop accepting. */
void acceptors_switch_to(struct acceptors *a, struct acceptor_process *p);

/* Removes an ended acceptor. False: `pid` is none; else *ret_state is its last state. */
bool acceptors_remove(struct acceptors *a, pid_t pid, enum acceptor_state *ret_state);

/* Sends a signal to all. */
void acceptors_kill(const struct acceptors *a, int signal);

struct listen_manager {
	struct notify notify;
	uint64_t watchdog; /* milliseconds between WATCHDOG=1; 0: none is sent */
	uint64_t alive; /* time of the last one by stream_clock() */
};

/*
 * The reasons for executing the program again: the word in LISTEN_RENEWED; its restarts
 * follow "fault".
 */
#define LISTEN_AT_START "start"
#define LISTEN_BY_FAULT "fault"

struct listen_renewal {
	const struct listen_sockets *sockets;
	const struct inherited *inherited;
	char **argv;
	const char *why; /* LISTEN_AT_START or LISTEN_BY_FAULT */
	int table; /* LISTEN_BY_FAULT: the descriptor of the table of connections */
	const struct restarts *faults; /* LISTEN_BY_FAULT: its restarts */
};

/*
 * Executes the program again. Returns only on failure: -errno; copies of descriptors may
 * remain from 3 on.
 */
int renew_execute(const struct listen_renewal *r);

/*
 * Reads, in the new image, the values that the previous one passed. False when the
 * program was not executed by itself. The table is the descriptor after the last socket;
 * -1: none.
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
	int table; /* descriptor of the table */
	const struct failures *failures; /* read-only view of a part of the table */
	struct acceptors acceptors;
	struct restarts ended, changed, failed; /* restarts of acceptors */
	struct restarts agents; /* restarts of key agents that have ended */
	struct restarts brokers; /* likewise, of brokers */
	struct restarts hanging; /* acceptors whose broker hung */
	struct hangs *hangs; /* NULL: there is no memory for it */
	bool lacks_agents; /* the end of an agent was detected and recorded */
	bool has_many_hangs; /* too many brokers hang, which was recorded */
	struct restarts faults; /* executions of the program */
	bool hides; /* there are files that acceptors cannot watch */
	uint64_t looked; /* time of their last check */
	bool over;
};

/* Writes a record; `ctx` is the listener. */
void listener_report(void *ctx, const char *text);

/* Finds the directory of modules; called again if modules could not be loaded. */
void listener_find_modules(struct listener *l);

/* Runs until a signal ends it. Connections continue. */
void listener_run(struct listener *l);

/*
 * Where this is the first process of a container: makes a child, in which it returns
 * false, and ends after all processes with the status of that. Signals of `blocked` are
 * passed on to it. False at once in any other process.
 */
bool listen_outlive(const sigset_t *blocked, int *ret_status);
