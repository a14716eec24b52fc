/* SPDX-License-Identifier: ISC */
/* Compares the places of paths that root has written with mail-root, by directories. */
#include "edge/store/mailbox-walk.h"
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/buf.h"

#define LINKS_MAX 16 /* symbolic links in one path; more are treated as a loop */

/*
 * Asks no server of a file system for what the kernel knows already, and mounts nothing:
 * the directory may be one of a file system that does not answer. False: there is none.
 */
static bool find_out(const char *path, int flags, struct stat *ret)
{
	struct statx st;

	flags |= AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
	if (statx(AT_FDCWD, path, flags, STATX_INO | STATX_TYPE, &st) < 0)
		return false;
	ret->st_mode = st.stx_mode;
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
		if (find_out(above, 0, &st) && st.st_dev == device)
			return true;
		if (!path[n])
			return false;
	}
}

/*
 * Replaces a link by its target: that is the name in `whole` between two numbers of
 * octets. False: it cannot be read, or is too long.
 */
static bool replace(char whole[static PATH_MAX], size_t begin, size_t end)
{
	char link[PATH_MAX], target[PATH_MAX], octets[PATH_MAX];
	struct buf b = BUF(octets);
	ssize_t n;

	memcpy(link, whole, end);
	link[end] = '\0';
	n = readlinkat(AT_FDCWD, link, target, sizeof(target));
	if (n <= 0)
		return false;
	if (*target != '/') {
		buf_put(&b, (struct span){ whole, begin });
		buf_put_char(&b, '/');
	}
	buf_put(&b, (struct span){ target, (size_t)n });
	buf_put_str(&b, whole + end);
	if (!buf_terminate(&b))
		return false;
	memcpy(whole, octets, b.n + 1);
	return true;
}

/*
 * True of a path that leads only through file systems on the way to the directory. Its
 * links are not left to the kernel, which would ask a file system that they lead into. A
 * link lies on the file system of the directory above it, whatever device overlayfs shows
 * for it.
 */
static bool stays_near(
	const struct stat *directory, const char *directory_path, const char *path)
{
	char whole[PATH_MAX], above[PATH_MAX];
	unsigned n_links = 0;
	struct stat st;

	memcpy(whole, path, strlen(path) + 1);
	for (size_t n = 0, begin; whole[n];) {
		begin = n;
		n = cut(above, whole, n);
		if (!find_out(above, AT_SYMLINK_NOFOLLOW, &st))
			return false;
		if (!S_ISLNK(st.st_mode) && st.st_dev != directory->st_dev &&
			!leads_through(directory_path, st.st_dev))
			return false;
		if (!S_ISLNK(st.st_mode))
			continue;
		if (++n_links > LINKS_MAX || !replace(whole, begin, n))
			return false;
		n = 0;
	}
	return true;
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
		if (directory_path && !stays_near(directory, directory_path, above))
			return NULL;
		if (!find_out(above, 0, &st))
			return NULL;
		if (st.st_dev == directory->st_dev && st.st_ino == directory->st_ino)
			return path + n;
	}
	return NULL;
}
