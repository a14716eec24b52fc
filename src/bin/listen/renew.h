/*
 * The listener in a new image of the program, with its sockets: at its start, as one in which all functions of
 * libraries are bound, which each connection would do by itself; and after a fault, in another address space.
 */
#pragma once

#include "bin/inherit.h"
#include "bin/listen/sockets.h"
#include "bin/listen/restart.h"

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
