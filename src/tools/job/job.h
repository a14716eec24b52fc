/* SPDX-License-Identifier: ISC */
/*
 * What the programs that process a directory of messages share: directories that are
 * opened with care, files that are moved and never overwritten, and programs that are run
 * without a shell.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "base/buf.h"

/* A directory, as it is named in faults. */
struct job_dir {
	int at; /* the directory that `path` is relative to, or AT_FDCWD */
	const char *path;
	int flags; /* of open(2), beside those of a directory */
	const char *name; /* in faults, as "new/: ..."; "": none */
	const char *program; /* the program that is to be run as its owner */
};

/*
 * Opens a directory that belongs to the user of the process and is writable for no other:
 * a user who can write there decides what programs get. The descriptor; or -errno, and a
 * sentence about the fault in `why`.
 */
int job_dir_open(const struct job_dir *dir, struct buf *why);

/*
 * Moves a file to another directory, or name, and overwrites none. It is in one of both
 * places, even if the process is killed, but for file systems without RENAME_NOREPLACE,
 * where it may be in both. 0, or -errno; -EEXIST: another file has the name.
 */
int job_move(int from, const char *name, int to, const char *as);

/*
 * Removes a file whose last change is not after `limit`, by the time of its content or,
 * with `by_change`, of its inode; directories stay. 0 or -errno.
 */
int job_remove_old(int dir, const char *name, time_t limit, bool by_change);

#define JOB_SECOND UINT64_C(1000000000) /* of job_clock() */
#define JOB_GRACE_SECONDS 5 /* for a program, after SIGTERM and after SIGKILL */

/* Nanoseconds of the monotonic clock. */
uint64_t job_clock(void);

/* The signals that end the program. */
sigset_t job_ending_signals(void);

/*
 * Blocks SIGCHLD and the signals that end the program: they are received only by the
 * functions that wait.
 */
void job_block_signals(void);

struct job_program {
	const char *path; /* absolute, or a name that is looked for in $PATH */
	char *const *argv;
	char *const *environment;
	int in, out, err; /* its standard descriptors */
};

/*
 * Starts the program in its own process group, so that a script can be stopped with all
 * its children, and a ^C for this program does not reach it. 0 or -errno.
 */
int job_start(const struct job_program *program, pid_t *ret_pid);

/* Opens missing standard descriptors and closes inherited ones. */
void job_open_descriptors(void);

/* The value after `name` ("--rate="), or NULL. */
const char *job_value_of(const char *word, const char *name);
