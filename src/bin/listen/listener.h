/*
 * The process of `postern --listen` that keeps the sockets: its state, and its loop. bin/listen sets it up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "bin/inherit.h"
#include "bin/listen/acceptor.h"
#include "bin/listen/sockets.h"
#include "edge/log/notify.h"
#include "edge/module.h"
#include "edge/settings/settings.h"

struct restart_terms {
	size_t n_free; /* so many after a quiet while have no interval */
	uint64_t least, most; /* the first interval, and the longest */
	uint64_t
		quiet; /* without a restart for so long, all begins anew; more than `most` */
};

struct restarts {
	uint64_t last; /* 0: none yet */
	uint64_t interval; /* that must pass after the last */
	size_t n; /* since the last quiet while */
	bool is_recorded; /* that they are put off, since then */
};

/* In how many milliseconds the next may be; 0: now. */
uint64_t restart_wait(
	const struct restarts *r, const struct restart_terms *terms, uint64_t now);

/* One is done now. */
void restart_note(struct restarts *r, const struct restart_terms *terms, uint64_t now);

#define ACCEPTORS_MAX 16 /* one more gives up the oldest; its connections go on */

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
	int from; /* descriptors have this number at least */
};

/*
 * Forks one, which is then starting. 0 in the new process, which has no channel but its own in *ret_channel.
 * Otherwise its number, or -errno; then none is given up.
 */
pid_t acceptors_fork(struct acceptors *a, int *ret_channel);

/* The one in that state, of which there is one at most, or NULL; not for ACCEPTOR_LEAVING. */
struct acceptor_process *acceptors_find(struct acceptors *a, enum acceptor_state state);

/* Tells it what to do, without waiting. NULL is no process. */
void acceptors_answer(
	const struct acceptor_process *p, enum acceptor_order order, uint64_t wait);

/* This one is ready: it accepts from now on, and the one before leaves. */
void acceptors_switch_to(struct acceptors *a, struct acceptor_process *p);

/* It has ended. False when it is none of these; otherwise *ret_state is what it was. */
bool acceptors_remove(struct acceptors *a, pid_t pid, enum acceptor_state *ret_state);

/* Sends a signal to each. */
void acceptors_kill(const struct acceptors *a, int signal);

struct listen_manager {
	struct notify notify;
	uint64_t
		watchdog; /* milliseconds between signs of life; 0: nobody waits for them */
	uint64_t alive; /* when the last was given, by stream_clock() */
};

/* Why: the word in LISTEN_RENEWED, and after "fault" how often that has been of late. */
#define LISTEN_AT_START "start"
#define LISTEN_BY_FAULT "fault"

struct listen_renewal {
	const struct listen_sockets *sockets;
	const struct inherited *inherited;
	char **argv;
	const char *why; /* one of these two */
	int table; /* of LISTEN_BY_FAULT: the descriptor of the table of connections */
	const struct restarts *faults; /* of LISTEN_BY_FAULT */
};

/* Does not return unless it fails: -errno. Then there may be copies of descriptors at 3 and on. */
int listen_renew(const struct listen_renewal *r);

/*
 * In the new image: why it was started, and what it was handed over. False: by nothing, or by another program. The
 * table is the descriptor behind the last socket; -1: there is none.
 */
bool listen_is_renewed(
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
	int table; /* descriptor of the same */
	struct acceptors acceptors;
	struct restarts ended, changed, failed,
		faults; /* of acceptors, and of the program */
	bool hides; /* there are files that the acceptor cannot watch */
	uint64_t looked; /* at them */
	bool over;
};

/* Writes a record; ctx is the listener. */
void listener_report(void *ctx, const char *text);

/* Runs until a signal ends it. Connections go on. */
void listener_run(struct listener *l);
