/*
 * The least that a program does to take one message in the clear and store it durably.
 *
 *	minimal-plain MAILDIR
 */
#include "minimal.h"

int main(int argc, char *argv[])
{
	static struct connection c = { .read = minimal_read, .write = minimal_write };

	if (argc != 2)
		return 64;
	minimal_serve(&c, argv[1]);
	return 0;
}
