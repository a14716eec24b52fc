/* SPDX-License-Identifier: ISC */
/* Compares the places of paths that root has written with mail-root, by directories. */
#include "edge/store/mailbox-walk.h"
#include <limits.h>
#include <string.h>

const char *walk_below(const struct stat *directory, const char *path)
{
	char above[PATH_MAX];
	struct stat st;

	if (strlen(path) >= sizeof(above))
		return NULL;
	for (size_t n = 0; path[n];) {
		n += strspn(path + n, "/");
		n += strcspn(path + n, "/");
		memcpy(above, path, n);
		above[n] = '\0';
		if (stat(above, &st) < 0)
			return NULL;
		if (st.st_dev == directory->st_dev && st.st_ino == directory->st_ino)
			return path + n;
	}
	return NULL;
}
