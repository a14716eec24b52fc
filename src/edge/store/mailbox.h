/*
 * A Maildir that takes part in a transaction: opened once, found again by what it is. All that is opened below
 * mail-root is opened here, one component of the path at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "edge/store/recipients.h"
#include "smtp/tx.h"

/* Octets of a fault, the NUL included; of a path that is longer the end is shown. */
#define MAILBOX_FAULT_MAX 256

/* The file that shows that an empty mail-root is the right one, where postern made it itself. */
#define MAILBOX_MARK ".postern"

struct copy;

/* The directory that a mailbox would be made in, or the first of those above it that do not exist either. */
struct mailbox_above {
	size_t n_path; /* octets of the mailbox's path that are this directory's */
	int fd; /* a descriptor that was open for a moment; -1: none could be had */
	dev_t device;
	int error; /* -errno: why nothing can be made in it */
	bool is_empty; /* but perhaps for lost+found */
};

struct mailbox {
	/* owned: below mail-root, without links; of one that cannot be used up to where the fault is */
	char *path;
	char *link; /* owned: the path of a link that leads to nothing; NULL: there is none */
	struct mailbox_above above; /* of one that does not exist */
	size_t n_left; /* octets of the path it was opened by that are behind the name that is missing or at fault */
	int dir; /* the directory itself, by O_PATH, while something in it is missing; else -1 */
	int new_dir; /* its `new`, open; -1: it does not exist yet */
	int tmp_dir; /* its `tmp`, likewise */
	bool complete; /* new, cur and tmp are there */
	dev_t device; /* these of `new`, or what they will be */
	ino_t inode;
	uid_t owner;
	/* what files of one device must have in common to be linked, beside the owner; 0: not known, or none */
	uint64_t mount;
	uint32_t project;
	struct copy *copy; /* the file that is linked into it; NULL: none */
	int error; /* -errno: why it cannot have the message */
	const char *part; /* where that is: "new", "cur", "tmp"; NULL: the path itself */
	const char *why; /* in words; NULL: those of the error */
	bool linked;
	char name[TX_FILE_MAX]; /* of the message in `new` */
};

#define MAILBOX_NONE                                                                     \
	((struct mailbox){                                                               \
		.dir = -1, .new_dir = -1, .tmp_dir = -1, .above = { .fd = -1 } })

enum mailbox_result {
	MAILBOX_OPEN, /* it is there, or a part of it is */
	MAILBOX_ABSENT, /* nothing of that name is there */
	MAILBOX_DANGLING, /* a link that is followed leads to nothing */
	MAILBOX_BARE, /* a directory that has none of new, cur and tmp */
	MAILBOX_OTHER, /* what has its name, or that of a directory above it, is no directory */
};

/*
 * Opens the directory below which Maildirs lie, or that is one; but with CREATE_NO makes it, durably, where it is
 * missing. With CREATE_AUTO only in a directory that is not empty, and puts MAILBOX_MARK in it, unless it is to be
 * the only mailbox. A link in its place is followed as file_open_directory() does it. The descriptor, or -errno.
 */
int mailbox_root(const char *path, enum create_choice create, bool is_mailbox);

/*
 * Opens the Maildir at `path` below the directory `root`, and nowhere else. A symbolic link is followed where it
 * and the directory that it is in belong to root or to the user of this process, and as far as it stays below
 * `root`; no link in the Maildir is. An enum mailbox_result, or -errno for what is broken; then, and with
 * MAILBOX_DANGLING and MAILBOX_OTHER, mailbox_put_fault() has more. Always to be closed.
 */
int mailbox_open(struct mailbox *box, int root, const char *path);

/*
 * Makes what is missing of a Maildir for which mailbox_open() returned anything but MAILBOX_OTHER, and the
 * directories above it, durably, and opens it. 0 or -errno.
 */
int mailbox_create(struct mailbox *box, int root);

/*
 * Why no message can be stored in a box that is there, or that is to be made, as far as it shows before one comes.
 * 0; or -errno, and the box has that error.
 */
int mailbox_probe(struct mailbox *box);

/*
 * Learns again what decides which files can be linked into a complete box: whose it is, and the project whose quota
 * its files count for, where its file system has such quotas. 0 or -errno.
 */
int mailbox_learn(struct mailbox *box);

/* Keeps what is wrong with the box, unless something is already. Returns `error`. */
int mailbox_fail(struct mailbox *box, const char *part, int error);

/* Appends "/srv/mail/a/new: Permission denied", in at most MAILBOX_FAULT_MAX octets. `root` is the path of mail-root. */
void mailbox_put_fault(const struct mailbox *box, const char *root, struct buf *to);

/* "/srv/mail/a: is empty ...", of the directory above a box that does not exist. */
void mailbox_put_empty_fault(const struct mailbox *box, const char *root, struct buf *to);

/* The same for any path, which goes on with `path` (NULL or ".": it does not) and `part` (NULL likewise). */
void mailbox_put_path_fault(struct buf *to, const char *root, const char *path,
	const char *part, const char *words);

/* The words for -errno, as --check and records have them. */
const char *mailbox_words(int error);

/* True for a directory that has no entry, but perhaps lost+found. */
bool mailbox_dir_is_empty(int dir);

/*
 * Of a box that is missing, or that has MAILBOX_OTHER: true where the name at fault is one that the settings or a line
 * of the table give, whatever the address.
 */
bool mailbox_fault_is_ours(
	const struct mailbox *box, const struct recipients_place *place);

/* The box is missing, and should not be. Only the first directory that is missing is named, unless it is `whole`. */
int mailbox_fail_missing(struct mailbox *box, bool whole);

bool mailbox_is_same(const struct mailbox *a, const struct mailbox *b);

void mailbox_close(struct mailbox *box);
