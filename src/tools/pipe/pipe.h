/* SPDX-License-Identifier: ISC */
/*
 * postern-pipe: the facts of a message, the queue of messages, the directories of a
 * Maildir, and runs of the program.
 *
 *   new/          messages to be processed
 *   cur/          processed
 *   failed/       NAME and NAME.txt: the program refused it; for a human to look at
 *   pipe/lock     held by the one postern-pipe of the Maildir
 *   pipe/tried/   NAME: how often the message was tried, and for how long
 *   pipe/done/    NAME: it stays in new/ and is processed (--keep-new)
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/faults.h"
#include "base/span.h"
#include "edge/log/log.h"
#include "tools/job/job.h"

/* The command line. */

enum pipe_mode {
	PIPE_RUN,
	PIPE_CHECK,
	PIPE_HELP,
	PIPE_VERSION,
	PIPE_USAGE, /* `wrong` is the invalid word, and `fault` its fault */
};

enum pipe_after {
	PIPE_MOVE, /* a processed message is moved to cur/ */
	PIPE_DELETE,
	PIPE_KEEP_NEW, /* a processed message stays in new/ */
};

#define PIPE_PROGRAMS_MAX 64 /* programs at once */

struct pipe_options {
	enum pipe_mode mode;
	enum pipe_after after;
	bool has_after; /* one of --delete, --keep and --keep-new was given */
	bool strict_order;
	bool strip; /* the program gets the message without postern's fields */
	bool has_programs; /* -n was given */
	const char *settings; /* the file of settings; NULL: the default one */
	const char *tree, *table; /* for many mailboxes; NULL: there is one */
	const char *notes; /* a Maildir for notes about failed messages; NULL: none */
	const char *mailbox; /* the Maildir, absolute */
	char *const *argv; /* program and arguments; NULL ends the list */
	uint64_t n_programs;
	/* seconds; `keep` 0: forever */
	uint64_t timeout, retry_for, retry_after, keep;
	const char *wrong, *fault;
};

void pipe_options_parse(int argc, char **argv, struct pipe_options *ret);
extern const char pipe_help[];

/* What is known of a message. */

/*
 * Octets of a message in which its header is searched. Postern's fields for 1000
 * recipients fit into them.
 */
#define PIPE_HEAD_MAX (512 * 1024)
#define PIPE_SUBJECT_MAX 1000 /* octets of a decoded subject */

/*
 * Facts in the header; p is NULL for a missing one. Facts of the envelope come only from
 * postern's own fields at the top of the message.
 */
struct pipe_facts {
	size_t n_trace; /* octets of postern's fields at the top; 0: none */
	struct span sender; /* empty for <> */
	struct span recipient; /* only if there is exactly one */
	size_t n_recipients;
	struct span user; /* escaped, as in the field */
	struct span peer; /* IP address */
	struct span tls; /* the cipher */
	struct span subject; /* folded and encoded, as in the field */
	struct span message_id;
};

/*
 * Reads the first octets of a message. Spans are parts of `head`. `recipients` gets the
 * recipients of the envelope, each followed by LF; as many octets as the head has are
 * enough for them.
 */
void pipe_facts_read(
	struct span head, struct pipe_facts *ret, struct buf *ret_recipients);

/*
 * Appends the text of an unstructured field in UTF-8 (RFC 2047), without line ends and
 * control characters, and at most PIPE_SUBJECT_MAX octets of it. The result never begins
 * with a hyphen.
 */
void pipe_words_put(struct buf *to, struct span value);

/*
 * Makes a copy of the message in memory, without its trace header and without fields of
 * blind recipients. 0, and a descriptor at its beginning; or -errno.
 */
int pipe_strip(int file, size_t n_trace, int *ret);

/* The messages of a Maildir, in order of arrival. */

enum pipe_state {
	PIPE_READY,
	PIPE_RUNNING,
	PIPE_WAITING, /* waits for its next try */
	PIPE_DECIDED, /* has a result that could not be stored yet */
};

enum pipe_result {
	PIPE_DONE,
	PIPE_LATER,
	PIPE_FAILED,
};

#define PIPE_REASON_MAX 256
#define PIPE_ERRORS_MAX 4096 /* octets of standard error that are kept */

/* The result of a run of the program. */
struct pipe_outcome {
	enum pipe_result result;
	char reason[PIPE_REASON_MAX]; /* "exit status 1"; empty: success */
	uint64_t milliseconds;
	size_t n_errors;
	char errors[PIPE_ERRORS_MAX]; /* the beginning of its standard error */
};

struct pipe_message {
	char *name; /* owned */
	uint64_t seconds, microseconds; /* time in its name */
	enum pipe_state state;
	uint64_t due; /* time by job_clock(), while it waits or is decided */
	uint64_t tries;
	uint64_t waited; /* seconds of trying so far, while this program ran */
	uint64_t since; /* time of the last try by job_clock() */
	struct pipe_outcome *outcome; /* owned; set while it is decided */
};

struct pipe_place {
	struct pipe_message *message; /* owned */
};

struct pipe_queue {
	struct pipe_place *list; /* owned, sorted */
	size_t n, cap;
};

/*
 * Adds a message. 0; 1: the queue has it already; or -ENOMEM. *ret is the message, new or
 * old.
 */
int pipe_queue_add(struct pipe_queue *q, const char *name, struct pipe_message **ret);
/* Finds a message; NULL: the queue does not have it. */
struct pipe_message *pipe_queue_find(const struct pipe_queue *q, const char *name);
void pipe_queue_remove(struct pipe_queue *q, const char *name);
/* Removes all messages; unless `whole`, those whose program is running stay. */
void pipe_queue_clear(struct pipe_queue *q, bool whole);

/*
 * Returns the first message that can be started at `now`. NULL: none; *ret_due then
 * becomes the time at which one can, if that is earlier. With `strict` no message
 * overtakes one that waits.
 */
struct pipe_message *pipe_queue_next(
	const struct pipe_queue *q, uint64_t now, bool strict, uint64_t *ret_due);

/*
 * Returns the first message whose result is due to be stored at `now`; otherwise as
 * pipe_queue_next().
 */
struct pipe_message *pipe_queue_decided(
	const struct pipe_queue *q, uint64_t now, uint64_t *ret_due);

/*
 * Returns the seconds until the next try: `first`, doubled after each try up to an hour,
 * and not beyond the end of `retry_for`. 0: this time is over.
 */
uint64_t pipe_pause(const struct pipe_message *m, uint64_t first, uint64_t retry_for);

/* The directories of a Maildir. */

struct pipe_box {
	const char *path; /* absolute */
	int top, new_dir, cur_dir, failed_dir, tried_dir, done_dir, lock;
	dev_t device; /* device of the directory at `path` */
	ino_t inode;
};

#define PIPE_BOX_NONE                                                                    \
	((struct pipe_box){ .path = NULL, -1, -1, -1, -1, -1, -1, -1, 0, 0 })
#define PIPE_WHY_MAX 512

/*
 * Opens the Maildir, makes missing directories of postern-pipe in it, and locks it. 0; or
 * -errno and a sentence in `why`: -ENOENT: it does not exist (yet), -EWOULDBLOCK: another
 * postern-pipe has locked it. The caller still owns `path`.
 */
int pipe_box_open(struct pipe_box *box, const char *path, struct buf *why);
void pipe_box_close(struct pipe_box *box);
/* True when its path leads to another directory, or to none. */
bool pipe_box_is_gone(const struct pipe_box *box);

/* Checks a Maildir without changing it, and reports to `faults`. */
void pipe_box_check(const char *path, struct faults *faults);

/*
 * If this is root, changes the user to the owner of the directory, permanently. 0 or
 * -errno.
 */
int pipe_become_owner(const char *path, struct buf *why);

/* Calls `see` for each name in the directory that is not hidden. 0 or -errno. */
int pipe_list(int dir, void *ctx, void (*see)(void *ctx, const char *name));

/*
 * Reads the stored state of a message that was tried before, or was processed and stays.
 */
void pipe_box_recall(const struct pipe_box *box, struct pipe_message *m);
int pipe_box_keep_try(const struct pipe_box *box, const struct pipe_message *m);
bool pipe_box_is_done(const struct pipe_box *box, const char *name);
/*
 * Removes states of messages that are no longer in new/, notes without a message, and
 * incomplete files.
 */
void pipe_box_tidy(const struct pipe_box *box);
void pipe_box_forget(const struct pipe_box *box, const char *name);

/*
 * Stores a success: moves, removes or marks the message. 0; 1: it is no longer in new/;
 * or -errno.
 */
int pipe_box_finish(const struct pipe_box *box, const char *name, enum pipe_after after);
/*
 * Stores a failure: moves the message to failed/, with a note; with PIPE_KEEP_NEW links
 * it there, and marks it. Returns as pipe_box_finish().
 */
int pipe_box_fail(const struct pipe_box *box, const struct pipe_message *m,
	const struct pipe_outcome *outcome, const struct pipe_options *o);

/* Removes messages that are in cur/ for over `age` seconds. 0 or the last -errno. */
int pipe_box_remove_old(const struct pipe_box *box, time_t now, time_t age);

/*
 * Opens a directory of the Maildir for notes. Returns the descriptor; or -errno, and the
 * fault in `why`.
 */
int pipe_notes_open(const char *path, const char *part, struct buf *why);
/* Delivers a note about a message that is still in new/ there. 0 or -errno. */
int pipe_notes_put(const char *path, const struct pipe_box *box,
	const struct pipe_message *m, struct span note);

/* Events in new/, and in the directories above it. */

struct pipe_watch {
	int fd; /* descriptor of inotify(7); -1: none */
	int new_dir; /* the number of its watch */
	/* changes by other hosts on this file system are not detected */
	bool is_shared;
};

enum {
	PIPE_WATCH_LIST = 1, /* events were lost: all of new/ must be read */
	PIPE_WATCH_GONE = 2, /* the Maildir may have been replaced */
};

/* Starts to watch. `removals`: also names that leave new/. 0 or -errno. */
int pipe_watch_open(struct pipe_watch *w, const struct pipe_box *box, bool removals);
void pipe_watch_close(struct pipe_watch *w);

/*
 * Reads events without waiting. Calls `see` for each name, and returns bits of the enum
 * above.
 */
unsigned pipe_watch_read(const struct pipe_watch *w, void *ctx,
	void (*see)(void *ctx, const char *name, bool is_there));

/* One run of the program. */

struct pipe_run {
	struct pipe_message *message; /* NULL: no program is running */
	pid_t pid;
	int errors; /* standard error of the program; -1: closed */
	uint64_t started, until; /* by job_clock() */
	enum {
		PIPE_RUN_FREE, /* its time limit has not passed */
		PIPE_RUN_TERMINATED, /* SIGTERM was sent */
		PIPE_RUN_KILLED,
	} phase;
	char *head; /* owned: the first octets of the message */
	struct pipe_facts facts; /* facts; parts of `head` */
	uint64_t size; /* octets of the message */
	struct pipe_outcome outcome;
};

/*
 * Starts the program for the message in new/. 0; 1: it could not be started, and has an
 * outcome; -ENOENT: the message is gone.
 */
int pipe_run_start(struct pipe_run *r, const struct pipe_box *box, struct pipe_message *m,
	const struct pipe_options *o);

/* Reads available standard error of the program, and passes it on. */
void pipe_run_read(struct pipe_run *r);

/* True when the program has ended; then there is an outcome. */
bool pipe_run_has_ended(struct pipe_run *r);

/* Sends the next signal to a program whose time limit has passed at `now`. */
void pipe_run_press(struct pipe_run *r, uint64_t now);

/* Frees everything except the message. */
void pipe_run_done(struct pipe_run *r);

/* Records, and the line for the service manager. */

struct pipe_counts {
	uint64_t done, failed;
	uint64_t waiting; /* messages in the queue that are not running */
	char reason[PIPE_REASON_MAX]; /* reason of the last failure */
};

struct pipe_log {
	struct config config;
	struct log log;
	struct notify notify;
	const char *mailbox, *program;
};

void pipe_log_open(struct pipe_log *l, const struct pipe_options *o);
void pipe_log_done(struct pipe_log *l);
/* Logs a sentence about the mailbox. */
void pipe_log_error(struct pipe_log *l, const char *text);
/* Records a run of the program that has ended. */
void pipe_log_run(
	struct pipe_log *l, const struct pipe_run *r, const struct pipe_counts *counts);

/*
 * Processes one Maildir until a signal ends it; if this is root, as its owner. Returns
 * the exit status.
 */
int pipe_work(const struct pipe_options *o);

/*
 * Runs a process for each mailbox of the table, until a signal ends it. Returns the exit
 * status.
 */
int pipe_tree(const struct pipe_options *o);

/* Checks everything that a run would use, and prints faults. Returns the exit status. */
int pipe_check(const struct pipe_options *o);
