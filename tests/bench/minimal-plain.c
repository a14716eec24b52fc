/* SPDX-License-Identifier: ISC */
/*
 * The least that a program does to take one message in the clear and store it durably.
 *
 *	minimal-plain [-l PORT] MAILDIR
 *
 * -l accepts connections itself and forks for each of them.
 */
#include "listen.h"
#include "minimal.h"
#include <string.h>

int main(int argc, char *argv[])
{
	static struct connection c = { .read = minimal_read, .write = minimal_write };

	if (argc == 4 && strcmp(argv[1], "-l") == 0)
		fork_for_each(argv[2]);
	else if (argc != 2)
		return 64;
	minimal_serve(&c, argv[argc - 1]);
	return 0;
}
