/*
 * `postern --listen`: keeps the sockets, what is loaded for all connections, and a process that accepts them
 * (bin/acceptor), which is replaced whenever a file has changed. It sees no octet of any client.
 */
#pragma once

#include "bin/inherit.h"
#include "bin/options.h"

/* Listens until a signal ends it. The exit status. `argv` is the program's own. */
int listen_run(
	const struct options *options, const struct inherited *inherited, char **argv);
