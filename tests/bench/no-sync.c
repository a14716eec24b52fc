/* SPDX-License-Identifier: ISC */
/* Put before a program by LD_PRELOAD, it takes syncing out of it: what syncing costs is the rest. */
#include <unistd.h>

int fsync(int fd)
{
	(void)fd;
	return 0;
}
