/* SPDX-License-Identifier: ISC */
/*
 * Directories of messages, and the files in them. A file is in exactly one directory,
 * even if the program is killed at any time, and no file is ever overwritten.
 */
#include "tools/job/job.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"

static void put_why(struct buf *why, const char *name, const char *what)
{
	if (*name) {
		buf_put_str(why, name);
		buf_put(why, SPAN("/: "));
	}
	buf_put_str(why, what);
}

static int check_owner(int fd, const struct job_dir *dir, struct buf *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		put_why(why, dir->name, strerror(errno));
		return -errno;
	}
	if (st.st_uid != geteuid()) {
		put_why(why, dir->name, "belongs to the user with the number ");
		buf_put_num(why, st.st_uid);
		buf_put(why, SPAN(": run "));
		buf_put_str(why, dir->program);
		buf_put(why, SPAN(" as that user"));
		return -EPERM;
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		put_why(why, dir->name, "others may write there: chmod go-w");
		return -EPERM;
	}
	return 0;
}

int job_dir_open(const struct job_dir *dir, struct buf *why)
{
	OWNED_FD int fd = openat(
		dir->at, dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | dir->flags);
	int r;

	if (fd < 0) {
		r = -errno;
		put_why(why, dir->name, strerror(-r));
		if (r == -EACCES) {
			buf_put(why, SPAN(": run "));
			buf_put_str(why, dir->program);
			buf_put(why, SPAN(" as the user who owns it"));
		}
		return r;
	}
	r = check_owner(fd, dir, why);
	return r < 0 ? r : steal_fd(&fd);
}

/*
 * Moves a file on file systems without RENAME_NOREPLACE. Directories cannot be moved like
 * this.
 */
static int move_by_link(int from, const char *name, int to, const char *as)
{
	int error;

	if (linkat(from, name, to, as, 0) < 0)
		return -errno;
	if (unlinkat(from, name, 0) == 0)
		return 0;
	error = -errno;
	unlinkat(to, as, 0);
	return error;
}

int job_move(int from, const char *name, int to, const char *as)
{
	int r = renameat2(from, name, to, as, RENAME_NOREPLACE) < 0 ? -errno : 0;

	if (r == -EINVAL || r == -ENOSYS)
		r = move_by_link(from, name, to, as);
	if (r == 0 && fsync(to) < 0)
		r = -errno;
	return r;
}

int job_remove_old(int dir, const char *name, time_t limit, bool by_change)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode) || (by_change ? st.st_ctime : st.st_mtime) > limit)
		return 0;
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}
