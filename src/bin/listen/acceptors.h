/*
 * The acceptors of a listener: the processes that accept connections for it. One accepts; a successor may be
 * getting ready; others have stopped accepting and wait for the last of their connections.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "bin/listen/acceptor.h"

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

/* The same descriptor with a number of at least `from`; -1 with errno when there is none. */
int acceptors_move_up(int fd, int from);

/* Takes all signals that a signalfd has. True when one of them is SIGTERM or SIGINT. */
bool acceptors_told_to_stop(int signals);

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
