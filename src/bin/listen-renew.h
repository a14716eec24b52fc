/*
 * The listener in a new image of the program, with its sockets: at its start, as one in which all functions of
 * libraries are bound, which each connection would do by itself; and after a fault, in another address space.
 */
#pragma once

#include "bin/inherit.h"
#include "bin/listen-sockets.h"

/* After one, faults start no other for so long. */
#define LISTEN_RENEW_SECONDS 10

#define LISTEN_AT_START "start"
#define LISTEN_BY_FAULT "fault"

/* Does not return, but where it fails. `why` is one of these two. */
void listen_renew(const struct listen_sockets *sockets, const struct inherited *inherited,
	char **argv, const char *why);
