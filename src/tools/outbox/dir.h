/*
 * The outbox: a Maildir that postern writes reports into and postern-outbox takes them
 * out of.
 *
 *   new/        reports not tried yet
 *   cur/        NAME,T=SECONDS: tried, at that time, and not sent
 *   rejected/   what is no report, or could not be sent; for a human to look at
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <time.h>
#include "base/buf.h"

#define OUTBOX_NAME_SIZE (NAME_MAX + 1)

struct outbox {
	int top, new_dir, cur_dir, rejected_dir;
};

/*
 * Opens the directory and what is in it; rejected/ is made. All must belong to us and be
 * closed to others' writing. 0, or -1 when `why` has a sentence about what is wrong.
 */
int outbox_open(struct outbox *o, const char *path, struct buf *why);

/* Takes the directory for this process. 0 or -errno; -EWOULDBLOCK: another has it. */
int outbox_lock(const struct outbox *o);

/* False when it was tried less than `wait` seconds before `now`. */
bool outbox_is_due(const char *name, time_t now, time_t wait);

#define OUTBOX_ROUND_MAX 64 /* reports of one round */
#define OUTBOX_TURNS_MAX 8 /* and of one source, as another's may come meanwhile */

struct outbox_entry {
	char name[OUTBOX_NAME_SIZE];
	size_t turn; /* how many of its source are in the round before it */
};

/* Reports to be tried next, in order: one of each source, then the second of each, and so on. */
struct outbox_round {
	size_t n;
	struct outbox_entry entries[OUTBOX_ROUND_MAX];
};

/*
 * Adds a report to the round, in which nobody's reports stand behind many of another source. In a full round it
 * takes the place of one with a later turn, or has none. `r` is zeroed first.
 */
void outbox_round_add(struct outbox_round *r, const char *name);

/*
 * Moves the report to cur/, under a name that tells `now`: the attempt is on the disk
 * before it is made. 0 or -errno; -ENOENT: somebody else took it. The two names may not
 * overlap.
 */
int outbox_claim(const struct outbox *o, int from, const char *name, time_t now,
	char ret_claimed[static OUTBOX_NAME_SIZE]);

/* Moves what was claimed to rejected/. Nothing that is there is overwritten. 0 or -errno. */
int outbox_reject(const struct outbox *o, const char *claimed, time_t now);

/* Removes what was claimed. 0 or -errno. */
int outbox_remove(const struct outbox *o, const char *claimed);

/* Removes files of rejected/ that came there more than `age` seconds before `now`. 0 or -errno, of the last that stays. */
int outbox_forget(const struct outbox *o, time_t now, time_t age);
