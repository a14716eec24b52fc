/* One file of a message on its way into Maildirs: made without a name, linked when it is
 * complete. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/span.h"
#include "proto/reply.h"
#include "smtp/tx.h"

#define COPY_NAME_TRIES 16 /* names tried when one exists already */

struct mailbox;

struct copy {
	int fd;
	int new_dir; /* the `new` of the mailbox that it was made in; borrowed */
	int tmp_dir; /* that mailbox's `tmp`, while it has or had a name there; else -1; borrowed */
	const char *part; /* of the mailbox, in which it lies: "new" or "tmp" */
	/* as the mailbox has them */
	dev_t device;
	uint64_t mount;
	uint32_t project;
	uid_t owner; /* of the file after copy_give() */
	gid_t group; /* likewise */
	size_t n_planned; /* Maildirs that it will be linked into */
	int error; /* -errno: why its links are not durable */
	bool alone; /* it cannot be linked into another mailbox */
	bool moved; /* out of tmp into a `new`: no more names can be had for it */
	/* Its name in tmp where the file system has no O_TMPFILE or no hard links; else empty. */
	char tmp_name[TX_FILE_MAX];
};

/*
 * Makes an empty file in the mailbox. It has no name, but `name` in tmp where `in_tmp` or the file system wants that.
 * 0 or -errno; c->part then says where.
 */
int copy_open(struct copy *c, const struct mailbox *box, const char *name, bool in_tmp);
/* All of the text, or -errno; then what was not written is left of it. */
int copy_write(struct copy *c, struct span *text);
/*
 * True when the file can be linked into the mailbox. It is tried where the file has a name in tmp; such file systems
 * may have no hard links, or none between some directories. Others have them within what is compared here.
 */
bool copy_reaches(struct copy *c, const struct mailbox *box);
/* A descriptor for reading it, or -errno; -EACCES inside the sandbox where there is Landlock. */
int copy_open_again(const struct copy *c);
/* What can be read there from the beginning. */
int copy_fill(struct copy *c, int from);
/*
 * Gives the file to the owner of the mailbox when we are root. That owner can then write to it where it has a name:
 * before, the file must be complete. 0 or -errno.
 */
int copy_give(const struct copy *c);
int copy_sync(const struct copy *c);
/* The directory that it was moved out of; nothing where it was not. 0 or -errno. */
int copy_sync_tmp(const struct copy *c);
/*
 * The name of a file: "<id>R<try>.<host>,S=<octets>". The first try has no R, and a file in tmp, whose size is
 * below 0, no S.
 */
void copy_make_name(char name[static TX_FILE_MAX], const char *id, size_t try,
	const char *host, off_t size);
/*
 * True for what link() says where a file cannot have another name (vfat, exFAT, SMB, some FUSE). A file that has a
 * name in tmp is then moved; one that has none must be made again there.
 */
bool copy_lacks_links(int error);
/*
 * Gives the file a name in `new_dir` that no other has, and tells which. Where there are no hard links it is moved
 * out of tmp: then it can have one name, and is durable only after copy_sync_tmp(). 0 or -errno.
 */
int copy_link_new(struct copy *c, int new_dir, const char *id, const char *host,
	char ret_name[static TX_FILE_MAX]);
/* Forgets the file; what was not linked is gone. */
void copy_close(struct copy *c);
