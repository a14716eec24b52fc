/* SPDX-License-Identifier: ISC */
/*
 * The least that a program does to take one message in the clear and store it durably.
 *
 *	minimal-plain [-l PORT] [-f SOCKET] MAILDIR
 *
 * -l accepts connections itself and forks for each of them; -f asks a filter that wants no
 * events, at a UNIX socket.
 */
#include "listen.h"
#include "minimal.h"
#include <unistd.h>

int main(int argc, char *argv[])
{
	static struct connection c = { .read = minimal_read, .write = minimal_write };

	const char *port = NULL;
	int option;

	while ((option = getopt(argc, argv, "l:f:")) != -1)
		if (option == 'l')
			port = optarg;
		else if (option == 'f')
			c.filter = optarg;
		else
			return 64;
	if (optind != argc - 1)
		return 64;
	if (port)
		fork_for_each(port);
	minimal_serve(&c, argv[argc - 1]);
	return 0;
}
