/* SPDX-License-Identifier: ISC */
/*
 * Octets of a message that filters look at. The first ones are in memory, which is enough
 * for every header; the rest is in a file that has no name. Such a file is in a directory
 * of its own, as it is the only one that the sandbox lets be written and read: stored
 * mail is never there. Where other users keep us from having that directory, all is in
 * memory, up to a limit.
 */
#pragma once

#include <stdint.h>
#include "edge/milter/octets.h"
#include "edge/sandbox/sandbox.h"
#include "proto/milter.h"

/* octets in memory: a header, and enough of the next line to see that it is no field */
#define SPOOL_HEAD_MAX (MILTER_HEADER_MAX + 64 * 1024)
#define SPOOL_PATH_MAX 256
/* octets of one that has no directory: more are a full disk */
#define SPOOL_MEMORY_MAX (16 * 1024 * 1024)

struct spool {
	struct octets head;
	int fd; /* of the rest; -1: there is none */
	uint64_t n_rest;
	char last; /* the last octet */
};

/*
 * Opens the directory for files of `owner`, as whom this process goes on, and makes it
 * where it is missing: before the sandbox closes. It is below `state`, where no other
 * user can make one, or, without that, where each user can. The descriptor, or -errno;
 * ret_path has its name then, or that of the first which any user can make.
 */
int spool_directory(const struct account *owner, const char *state,
	char ret_path[static SPOOL_PATH_MAX]);

void spool_init(struct spool *s);
/* Appends a text. A negative directory is none. 0 or -errno. */
int spool_put(struct spool *s, int directory, struct span text);
uint64_t spool_size(const struct spool *s);
/*
 * Some octets from `at` on, borrowed or read into `room`, which is emptied before; none
 * at the end. 0 or -errno.
 */
int spool_get(const struct spool *s, uint64_t at, struct buf *room, struct span *ret);
/* Empties it; memory that is not large is kept for the next message. */
void spool_clear(struct spool *s);
void spool_done(struct spool *s);
