/* SPDX-License-Identifier: ISC */
/*
 * The functions that programs for a directory of messages share: opening directories
 * safely, moving files without overwriting one, and running programs without a shell.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "base/buf.h"

/* A directory, with the words for faults. */
struct job_dir {
	int at; /* the directory that `path` is relative to, or AT_FDCWD */
	const char *path;
	int flags; /* more flags of open(2) */
	const char *name; /* beginning of faults, such as "new/: ..."; "": none */
	const char *program; /* the program, in faults: it must run as the owner */
};

/*
 * Opens a directory that belongs to the user of the process and is not writable for other
 * users, who could otherwise choose the input of programs. Returns the descriptor; or
 * -errno, and a sentence about the fault in `why`.
 */
int job_dir_open(const struct job_dir *dir, struct buf *why);

/*
 * Moves a file to another directory, or name, without overwriting a file. It is always in
 * exactly one of the two places. Only on file systems without RENAME_NOREPLACE it may be
 * in both if the process is killed. 0 or -errno; -EEXIST: another file has the name.
 */
int job_move(int from, const char *name, int to, const char *as);

/*
 * Removes a file whose last change is not after `limit`: the change of its content or,
 * with `by_change`, of its inode. Directories are kept. 0 or -errno.
 */
int job_remove_old(int dir, const char *name, time_t limit, bool by_change);

#define JOB_SECOND UINT64_C(1000000000) /* one second of job_clock() */
/* seconds that a program has after SIGTERM, and after SIGKILL */
#define JOB_GRACE_SECONDS 5

/* Returns nanoseconds of the monotonic clock. */
uint64_t job_clock(void);

/* Returns the signals that end the program. */
sigset_t job_ending_signals(void);

/*
 * Blocks SIGCHLD and the signals that end the program: they are received only by the
 * functions that wait.
 */
void job_block_signals(void);

struct job_program {
	const char *path; /* absolute path, or a name that is searched in $PATH */
	char *const *argv;
	char *const *environment;
	int in, out, err; /* its standard descriptors */
	bool ends_with_us; /* it is killed when this process ends, in whatever way */
};

/*
 * Starts the program in its own process group, so that a script can be stopped with all
 * its children, and a ^C for this program does not reach it. 0 or -errno.
 */
int job_start(const struct job_program *program, pid_t *ret_pid);

/* Opens missing standard descriptors and closes inherited ones. */
void job_open_descriptors(void);

/* Returns the value after `name` ("--rate="), or NULL. */
const char *job_value_of(const char *word, const char *name);
