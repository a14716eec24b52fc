/* SPDX-License-Identifier: ISC */
/* Compares the places of paths that root has written with mail-root, by directories. */
#include "edge/store/mailbox-walk.h"
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

/*
 * Asks no server of a file system for what the kernel knows already, and mounts nothing:
 * the directory may be one of a file system that does not answer. False: there is none.
 */
static bool find_out(const char *path, struct stat *ret)
{
	const int flags = AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
	struct statx st;

	if (statx(AT_FDCWD, path, flags, STATX_INO, &st) < 0)
		return false;
	ret->st_dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	ret->st_ino = st.stx_ino;
	return true;
}

/* Cuts `path` behind the next component after `n` octets. Returns its length. */
static size_t cut(char above[static PATH_MAX], const char *path, size_t n)
{
	n += strspn(path + n, "/");
	n += strcspn(path + n, "/");
	memcpy(above, path, n);
	above[n] = '\0';
	return n;
}

/* True of the device of a directory that the path leads through. */
static bool leads_through(const char *path, dev_t device)
{
	char above[PATH_MAX] = "/";
	struct stat st;

	if (strlen(path) >= sizeof(above))
		return false;
	for (size_t n = 0;; n = cut(above, path, n)) {
		if (find_out(above, &st) && st.st_dev == device)
			return true;
		if (!path[n])
			return false;
	}
}

const char *walk_below(
	const struct stat *directory, const char *directory_path, const char *path)
{
	char above[PATH_MAX];
	struct stat st;

	if (strlen(path) >= sizeof(above))
		return NULL;
	for (size_t n = 0; path[n];) {
		n = cut(above, path, n);
		if (!find_out(above, &st))
			return NULL;
		if (st.st_dev == directory->st_dev && st.st_ino == directory->st_ino)
			return path + n;
		if (directory_path && st.st_dev != directory->st_dev &&
			!leads_through(directory_path, st.st_dev))
			return NULL;
	}
	return NULL;
}
