/* One file of a message on its way into Maildirs: made without a name, linked when it is
 * complete. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "base/span.h"
#include "proto/reply.h"
#include "smtp/tx.h"

#define COPY_NAME_TRIES 16 /* names tried when one exists already */

struct copy {
	int fd;
	int new_dir; /* the `new` that it was made in; borrowed */
	dev_t device;
	uid_t owner;
	size_t n_planned; /* Maildirs that it will be linked into */
	/* Its name in tmp where the file system has no O_TMPFILE; else empty. */
	char tmp_name[TX_FILE_MAX];
};

/*
 * Makes an empty file beside `new_dir`, which belongs to `owner` and `group`: that
 * becomes the file's owner when we are root. `name` is used in tmp only. 0 or -errno.
 */
int copy_open(struct copy *c, int new_dir, const char *name);
/* All of the text, or -errno. */
int copy_write(struct copy *c, struct span text);
/* The same content as `from`, which stays as it is. */
int copy_fill(struct copy *c, const struct copy *from);
int copy_sync(const struct copy *c);
/*
 * The name of a file: "<id>R<try>.<host>,S=<octets>". The first try has no R, and a file in tmp, whose size is
 * below 0, no S.
 */
void copy_make_name(char name[static TX_FILE_MAX], const char *id, size_t try,
	const char *host, off_t size);
/* Gives the file a name in `new_dir` that no other has, and tells which. 0 or -errno. */
int copy_link_new(struct copy *c, int new_dir, const char *id, const char *host,
	char ret_name[static TX_FILE_MAX]);
/* Forgets the file; what was not linked is gone. */
void copy_close(struct copy *c);
