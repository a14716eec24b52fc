/* SPDX-License-Identifier: ISC */
/*
 * A walk from mail-root down to a mailbox: one component of the path at a time, by
 * descriptors, and by no symbolic link that another user could have made.
 */
#pragma once

#include <errno.h>
#include "edge/store/store.h"

#define WALK_TARGET_MAX 1024 /* octets of the target of a link */
#define WALK_OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define WALK_DIR_MODE 0700
#define WALK_IS_ROOTS ENOTUNIQ /* an error: root owns it, in a directory of a user */

struct walk {
	const struct store_root *root;
	int dir; /* where it is, by O_PATH; -1: in the root */
	bool create; /* what is missing is made */
	unsigned n_links;
	unsigned n_made; /* directories, in a row, the last of which is `dir` */
	size_t n_own; /* octets at the end of `todo` that are no link's */
	const char *why; /* in words; NULL: those of the error */
	struct mailbox_above above; /* with MAILBOX_ABSENT and MAILBOX_DANGLING */
	char done[MAILBOX_PATH_MAX]; /* the path of `dir`, without links */
	char todo[MAILBOX_PATH_MAX + WALK_TARGET_MAX]; /* what is left of the path */
	char link[MAILBOX_PATH_MAX]; /* the path of the link that was followed last */
};

/*
 * Walks from `root` along the path. With `create` makes what is missing, durably, and
 * takes it back where not all of it can be made. 0, an enum mailbox_result, or -errno;
 * w->done is then the whole path, or ends in what is at fault. w->dir is the caller's to
 * close.
 */
int walk_path(
	struct walk *w, const struct store_root *root, bool create, const char *path);

/*
 * With root->as_owner becomes the owner of the directory, with the group that it has, and
 * otherwise does nothing. What happens in the directory afterwards is what its owner may
 * do. 0 or -errno.
 */
int walk_become(const struct store_root *root, int dir);

/* Back to root, after any of the functions of this folder. 0 or -errno. */
int walk_return(void);

/*
 * Makes a directory, unless there is one, and gives it to the owner of the one above
 * where this process is root. 0 or -errno.
 */
int walk_make(const struct store_root *root, int dir, const char *name);

/* Makes the names in a directory durable, or has that done later. 0 or -errno. */
int walk_sync(const struct store_root *root, int dir);

/* 0 where files can be made in the directory; or -errno. */
int walk_may_write(const struct store_root *root, int dir);

/* Opens the directory of that name for reading. A descriptor or -errno. */
int walk_open(const struct store_root *root, int dir, const char *name);

/*
 * True for a directory without any entry but perhaps one of the name `extra`; NULL: there
 * is no such name.
 */
bool walk_is_empty(const struct store_root *root, int dir, const char *extra);
