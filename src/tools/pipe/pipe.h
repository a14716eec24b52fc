/* SPDX-License-Identifier: ISC */
/*
 * postern-pipe: what is known of a message, in which order messages are processed, where
 * they go, and how their program is run.
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
	PIPE_MOVE, /* a processed message goes to cur/ */
	PIPE_DELETE,
	PIPE_KEEP_NEW, /* it stays in new/ */
};

#define PIPE_PROGRAMS_MAX 64 /* at once */

struct pipe_options {
	enum pipe_mode mode;
	enum pipe_after after;
	bool has_after; /* one of --delete, --keep and --keep-new was given */
	bool strict_order;
	bool strip; /* the program gets a message without postern's fields */
	bool has_programs; /* -n was given */
	const char *settings; /* the file of settings; NULL: the default one */
	const char *tree, *table; /* of many mailboxes; NULL: there is one */
	const char *notes; /* a Maildir for notes about failed messages; NULL: none */
	const char *mailbox; /* the Maildir, absolute */
	char *const *argv; /* of the program; NULL ends */
	uint64_t n_programs;
	/* seconds; keep 0: for ever */
	uint64_t timeout, retry_for, retry_after, keep;
	const char *wrong, *fault;
};

void pipe_options_parse(int argc, char **argv, struct pipe_options *ret);
extern const char pipe_help[];

/* What is known of a message. */

/*
 * Octets of a message in which its header is looked for: what postern puts on top of a
 * message for 1000 recipients is there.
 */
#define PIPE_HEAD_MAX (512 * 1024)
#define PIPE_SUBJECT_MAX 1000 /* octets of a decoded subject */

/*
 * Facts that the header has; p is NULL for one that is not there. Those of the envelope
 * come only from the fields that postern has put on top of the message.
 */
struct pipe_facts {
	size_t n_trace; /* octets of the fields that postern has put on top; 0: none */
	struct span sender; /* empty for <> */
	struct span recipient; /* where there is exactly one */
	size_t n_recipients;
	struct span user; /* escaped, as in the field */
	struct span peer; /* IP address */
	struct span tls; /* the cipher */
	struct span subject; /* folded and encoded, as in the field */
	struct span message_id;
};

/*
 * Reads the first octets of a message. Spans are parts of `head`. `recipients` gets the
 * envelope's, each with a LF behind it; it needs no more room than the head has octets.
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
 * Makes a copy of the message, in memory, from behind its trace header on and without
 * fields that name blind recipients. 0, and a descriptor at its beginning; or -errno.
 */
int pipe_strip(int file, size_t n_trace, int *ret);

/* The messages of a Maildir, in order of arrival. */

enum pipe_state {
	PIPE_READY,
	PIPE_RUNNING,
	PIPE_WAITING, /* for its next try */
	PIPE_DECIDED, /* its result is known, and could not be stored yet */
};

enum pipe_result {
	PIPE_DONE,
	PIPE_LATER,
	PIPE_FAILED,
};

#define PIPE_REASON_MAX 256
#define PIPE_ERRORS_MAX 4096 /* octets of standard error that are kept */

/* How a run of the program came out. */
struct pipe_outcome {
	enum pipe_result result;
	char reason[PIPE_REASON_MAX]; /* "exit status 1"; empty: it succeeded */
	uint64_t milliseconds;
	size_t n_errors;
	char errors[PIPE_ERRORS_MAX]; /* the beginning of its standard error */
};

struct pipe_message {
	char *name; /* owned */
	uint64_t seconds, microseconds; /* of its name */
	enum pipe_state state;
	uint64_t due; /* by job_clock(), while it waits or is decided */
	uint64_t tries;
	uint64_t waited; /* seconds of trying so far, while this program ran */
	uint64_t since; /* by job_clock(): the last try */
	struct pipe_outcome *outcome; /* owned; while it is decided */
};

struct pipe_place {
	struct pipe_message *message; /* owned */
};

struct pipe_queue {
	struct pipe_place *list; /* owned, sorted */
	size_t n, cap;
};

/* 0; 1 when it is there already; -ENOMEM. *ret is the message, new or old. */
int pipe_queue_add(struct pipe_queue *q, const char *name, struct pipe_message **ret);
/* NULL: it is not there. */
struct pipe_message *pipe_queue_find(const struct pipe_queue *q, const char *name);
void pipe_queue_remove(struct pipe_queue *q, const char *name);
/* Removes all; but for those whose program runs, unless `whole`. */
void pipe_queue_clear(struct pipe_queue *q, bool whole);

/*
 * The first message that can be started at `now`, or NULL; then *ret_due, if it is later,
 * becomes the time at which one can. With `strict` no message passes one that waits.
 */
struct pipe_message *pipe_queue_next(
	const struct pipe_queue *q, uint64_t now, bool strict, uint64_t *ret_due);

/* The first message whose result is to be stored at `now`; as above. */
struct pipe_message *pipe_queue_decided(
	const struct pipe_queue *q, uint64_t now, uint64_t *ret_due);

/*
 * Seconds until the next try, after `tries` of them: `first`, doubled each time up to an
 * hour, and not beyond the end of `retry_for`. 0: that time is over.
 */
uint64_t pipe_pause(const struct pipe_message *m, uint64_t first, uint64_t retry_for);

/* The directories of a Maildir. */

struct pipe_box {
	const char *path; /* absolute */
	int top, new_dir, cur_dir, failed_dir, tried_dir, done_dir, lock;
	dev_t device; /* of the directory at `path` */
	ino_t inode;
};

#define PIPE_BOX_NONE                                                                    \
	((struct pipe_box){ .path = NULL, -1, -1, -1, -1, -1, -1, -1, 0, 0 })
#define PIPE_WHY_MAX 512

/*
 * Opens the Maildir, makes the directories of its own that are missing, and locks it. 0;
 * or -errno and a sentence in `why`: -ENOENT: it does not exist (yet), -EWOULDBLOCK:
 * another postern-pipe has it. `path` stays the caller's.
 */
int pipe_box_open(struct pipe_box *box, const char *path, struct buf *why);
void pipe_box_close(struct pipe_box *box);
/* True when it is no longer what its path leads to. */
bool pipe_box_is_gone(const struct pipe_box *box);

/* Checks a Maildir without making anything: sentences go to `faults`. */
void pipe_box_check(const char *path, struct faults *faults);

/* Where this is root: becomes the owner of the directory, for good. 0, or -errno. */
int pipe_become_owner(const char *path, struct buf *why);

/* Calls it for each name in the directory that is not hidden. 0 or -errno. */
int pipe_list(int dir, void *ctx, void (*see)(void *ctx, const char *name));

/* What is kept of a message that was tried before, or is processed and stays. */
void pipe_box_recall(const struct pipe_box *box, struct pipe_message *m);
int pipe_box_keep_try(const struct pipe_box *box, const struct pipe_message *m);
bool pipe_box_is_done(const struct pipe_box *box, const char *name);
/*
 * Removes what is kept of messages that are no longer in new/, notes without a message,
 * and what was not written whole.
 */
void pipe_box_tidy(const struct pipe_box *box);
void pipe_box_forget(const struct pipe_box *box, const char *name);

/*
 * Stores the result: moves the message, removes or marks it. 0; 1: it is no longer in
 * new/; or -errno.
 */
int pipe_box_finish(const struct pipe_box *box, const char *name, enum pipe_after after);
/*
 * Moves it to failed/, with a note; with PIPE_KEEP_NEW it is linked there, and marked.
 * Returns as the other one.
 */
int pipe_box_fail(const struct pipe_box *box, const struct pipe_message *m,
	const struct pipe_outcome *outcome, const struct pipe_options *o);

/* Removes messages that are in cur/ for over `age` seconds. 0 or the last -errno. */
int pipe_box_remove_old(const struct pipe_box *box, time_t now, time_t age);

/* The directory of that name in the Maildir for notes; -errno, and why. */
int pipe_notes_open(const char *path, const char *part, struct buf *why);
/* Delivers a note about a message that is still in new/ there. 0 or -errno. */
int pipe_notes_put(const char *path, const struct pipe_box *box,
	const struct pipe_message *m, struct span note);

/* What happens in new/, and to the directories above it. */

struct pipe_watch {
	int fd; /* of inotify(7); -1: there is none */
	int new_dir; /* the number of its watch */
	/* changes that other hosts make on this file system are not seen */
	bool is_shared;
};

enum {
	PIPE_WATCH_LIST = 1, /* names were lost: all of new/ is to be read */
	PIPE_WATCH_GONE = 2, /* the Maildir may be another one now */
};

/* `removals`: names that leave new/ are seen, too. 0 or -errno. */
int pipe_watch_open(struct pipe_watch *w, const struct pipe_box *box, bool removals);
void pipe_watch_close(struct pipe_watch *w);

/* Never waits. Calls `see` for each name; the bits above. */
unsigned pipe_watch_read(const struct pipe_watch *w, void *ctx,
	void (*see)(void *ctx, const char *name, bool is_there));

/* One run of the program. */

struct pipe_run {
	struct pipe_message *message; /* NULL: nothing runs */
	pid_t pid;
	int errors; /* its standard error; -1: closed */
	uint64_t started, until; /* by job_clock() */
	enum {
		PIPE_RUN_FREE, /* its time is not over */
		PIPE_RUN_TERMINATED, /* SIGTERM was sent */
		PIPE_RUN_KILLED,
	} phase;
	char *head; /* owned: the first octets of the message */
	struct pipe_facts facts; /* parts of it */
	uint64_t size; /* of the message */
	struct pipe_outcome outcome;
};

/*
 * Starts the program for the message in new/. 0; 1: it has an outcome already, as it
 * cannot be run; -ENOENT: the message is gone.
 */
int pipe_run_start(struct pipe_run *r, const struct pipe_box *box, struct pipe_message *m,
	const struct pipe_options *o);

/* Reads what is there of its standard error, and passes it on. */
void pipe_run_read(struct pipe_run *r);

/* True when it has ended: then it has an outcome. */
bool pipe_run_has_ended(struct pipe_run *r);

/* Sends the next signal to a program whose time is over at `now`. */
void pipe_run_press(struct pipe_run *r, uint64_t now);

/* Frees all but the message. */
void pipe_run_done(struct pipe_run *r);

/* Records, and the status line of the service manager. */

struct pipe_counts {
	uint64_t done, failed;
	uint64_t waiting; /* in the queue, and not running */
	char reason[PIPE_REASON_MAX]; /* the last one */
};

struct pipe_log {
	struct config config;
	struct log log;
	struct notify notify;
	const char *mailbox, *program;
};

void pipe_log_open(struct pipe_log *l, const struct pipe_options *o);
void pipe_log_done(struct pipe_log *l);
/* A sentence about the mailbox. */
void pipe_log_error(struct pipe_log *l, const char *text);
/* A run of the program has ended. */
void pipe_log_run(
	struct pipe_log *l, const struct pipe_run *r, const struct pipe_counts *counts);

/*
 * Processes one Maildir until a signal ends it; where this is root, as its owner. The
 * exit status.
 */
int pipe_work(const struct pipe_options *o);

/* A process for each mailbox of the table, until a signal ends it. The exit status. */
int pipe_tree(const struct pipe_options *o);

/* Checks all that a run would use; prints faults. The exit status. */
int pipe_check(const struct pipe_options *o);
