/* A Maildir that takes part in a transaction: opened once, found again by what it is. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "smtp/tx.h"

struct copy;

struct mailbox {
	char *path; /* owned: below mail-root */
	int new_dir; /* its `new`, open; -1: it does not exist yet */
	dev_t device;
	ino_t inode;
	uid_t owner;
	struct copy *copy; /* the file that is linked into it; NULL: none */
	int error; /* -errno: why it cannot have the message */
	bool linked;
	char name[TX_FILE_MAX]; /* of the message in `new` */
};

/*
 * Opens the directory below which Maildirs lie, or that is one; with `create` makes it, durably, where it is
 * missing. The descriptor, or -errno.
 */
int mailbox_root(const char *path, bool create);

/*
 * Opens the Maildir at `path` below the directory `root`, and nowhere else, whatever
 * links lie on the way. 0 or -errno; after -ENOENT the box can still be created. Always
 * to be closed.
 */
int mailbox_open(struct mailbox *box, int root, const char *path);

/* Makes the Maildir and the directories above it, durably, and opens it. 0 or -errno. */
int mailbox_create(struct mailbox *box, int root);

bool mailbox_is_same(const struct mailbox *a, const struct mailbox *b);

void mailbox_close(struct mailbox *box);
