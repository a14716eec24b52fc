/* SPDX-License-Identifier: ISC */
/*
 * A walk from mail-root down to a mailbox: one component of the path at a time, by
 * descriptors, and without following a symbolic link that another user could have made.
 */
#pragma once

#include <errno.h>
#include <sys/stat.h>
#include "edge/store/store.h"
#include "proto/broker.h"

#define WALK_TARGET_MAX 1024 /* octets of the target of a link */
#define WALK_OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define WALK_DIR_MODE 0700

/* Errors of this folder, in negative, above each that a file system can give. */
#define WALK_IS_ROOTS (BROKER_ERRNO_MAX + 1) /* root owns it, in a directory of a user */
#define WALK_IS_OTHERS (BROKER_ERRNO_MAX + 2) /* another user owns it, in a home */
#define WALK_HAS_NO_HOME (BROKER_ERRNO_MAX + 3) /* the home of a user is missing */

/* Directories that another process syncs, with descriptors of their own. */
#define SYNCS_OF_ALL SIZE_MAX /* it concerns all mailboxes */

struct syncs {
	struct sync {
		size_t box; /* the number of the mailbox that it concerns */
		int fd;
		bool is_owned;
	} * list;
	size_t n;
};

/* Adds a directory of a mailbox, which stays the caller's. 0 or -ENOMEM. */
int syncs_add(struct syncs *s, size_t box, int dir);

/* Adds one of all mailboxes, unless it is there, and owns it. 0 or -ENOMEM. */
int syncs_take(struct syncs *s, int dir);
void syncs_clear(struct syncs *s);

struct walk {
	const struct store_root *root;
	int dir; /* current directory, by O_PATH; -1: the root */
	dev_t device; /* of `dir`, with root->as_owner; 0: the root */
	bool create; /* missing directories are made */
	struct home home;
	bool is_home; /* `dir` is the home, or below it */
	unsigned n_links;
	/* consecutive directories that were made, the last of which is `dir` */
	unsigned n_made;
	size_t n_own; /* octets at the end of `todo` that do not come from a link */
	const char *why; /* text of the fault; NULL: that of the error */
	struct mailbox_above above; /* set with MAILBOX_ABSENT and MAILBOX_DANGLING */
	char done[MAILBOX_PATH_MAX]; /* the path of `dir`, without links */
	char todo[MAILBOX_PATH_MAX + WALK_TARGET_MAX]; /* the rest of the path */
	char link[MAILBOX_PATH_MAX]; /* the path of the link that was followed last */
};

/*
 * Walks from `root` along the path, in which `home` is. With `create` makes missing
 * directories, durably, and removes them again if not all can be made. 0, an enum
 * mailbox_result, or -errno; w->done is then the whole path, or ends with the name at
 * fault. The caller closes w->dir.
 */
int walk_path(struct walk *w, const struct store_root *root, bool create,
	const struct home *home, const char *path);

/*
 * The part of an absolute path that is below the directory; NULL: it leads to another
 * place. Directories are compared, not names, because one may have several. The path is
 * one that root has written: the target of a trusted link, or a home. `directory_path` is
 * set for a home, which may be on a file system that does not answer: a path that enters
 * another file system than those on the way to the directory is not followed further.
 */
const char *walk_below(
	const struct stat *directory, const char *directory_path, const char *path);

/* Whether what is open in the home of a user is his. 0, -WALK_IS_OTHERS or -errno. */
int walk_judge_owner(const struct home *home, int fd);

/*
 * With root->as_owner becomes the owner of the directory, with the group that it has, and
 * otherwise does nothing. What happens in the directory afterwards is what its owner may
 * do. 0 or -errno.
 */
int walk_become(const struct store_root *root, int dir);

/*
 * Back to root, after any of the functions of this folder. The group stays that of the
 * last directory until walk_become() needs another one. 0 or -errno.
 */
int walk_return(void);

/* The same, with the group of root. */
int walk_return_with_group(void);

/*
 * Makes a directory unless it exists, and gives it to the owner of its parent if this
 * process is root. 0 or -errno.
 */
int walk_make(const struct store_root *root, int dir, const char *name);

/* Makes the names in a directory durable, or has that done later. 0 or -errno. */
int walk_sync(const struct store_root *root, int dir);

/* Tests whether files can be made in the directory. 0 or -errno. */
int walk_may_write(const struct store_root *root, int dir);

/* Opens the directory of that name for reading. A descriptor or -errno. */
int walk_open(const struct store_root *root, int dir, const char *name);

/*
 * True for a directory without entries, except perhaps one of the name `extra`; NULL: no
 * exception.
 */
bool walk_is_empty(const struct store_root *root, int dir, const char *extra);
