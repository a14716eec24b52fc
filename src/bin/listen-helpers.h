/* The processes that a listener has forked to accept for it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "bin/listen-children.h"

#define HELPERS_MAX                                                                      \
	16 /* who accepts, and who still waits for connections of earlier days */

struct helper {
	pid_t pid;
	int news; /* what it sends */
};

struct helpers {
	struct helper list[HELPERS_MAX]; /* the last accepts, unless one is due */
	size_t n;
	bool due; /* there is none that accepts */
	uint64_t
		started; /* when the last was forked, or should have been, by stream_clock() */
	struct listen_children *children;
};

/* The same descriptor where a connection has nothing to do. -1 when there is no room. */
int helpers_move_up(int fd);

/* Takes all signals that a signalfd has. True when one of them is SIGTERM or SIGINT. */
bool helpers_told_to_stop(int signals);

/*
 * Forks one that accepts from now on; where there are too many the oldest is given up. 0 in the new process,
 * which has nothing of the others, and its end of the news in *ret_news. Otherwise its number, or -errno:
 * then one is due.
 */
pid_t helpers_fork(struct helpers *h, int *ret_news);

bool helpers_accepts(const struct helpers *h, const struct helper *helper);

enum helpers_end {
	HELPERS_UNKNOWN, /* of an earlier image of the program, or given up */
	HELPERS_LEFT, /* it did not accept any more */
	HELPERS_NEEDED, /* it did: one is due now */
};

/* It has ended, and its connections count no more. */
enum helpers_end helpers_remove(struct helpers *h, pid_t pid);

/* Ends them all. Connections go on. */
void helpers_end(struct helpers *h);
