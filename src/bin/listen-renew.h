/* The listener in a new image of the program, with its sockets. */
#pragma once

#include "bin/inherit.h"
#include "bin/listen-sockets.h"

/* After one, faults start no other for so long. */
#define LISTEN_RENEW_SECONDS 10

/* Does not return, but where it fails. */
void listen_renew(const struct listen_sockets *sockets, const struct inherited *inherited,
	char **argv);
