/* Numbers that only grow, kept in a file between two runs: a log forgets its oldest records, a counter must not. */
#pragma once

#include "tools/status/count.h"

struct status_totals {
	int64_t began; /* seconds; when the file was made */
	int64_t until; /* what is older is counted */
	struct status_counts counts; /* its numbers; the replies are codes */
};

/*
 * Waits until no other run is at a file of totals in the same directory. A descriptor that is closed after the file was
 * written, or -errno.
 */
int status_totals_lock(const char *path);

/* Reads the file; where there is none the totals begin at `now`, with 0. 0 or -errno; -EBADMSG: is no such file. */
int status_totals_read(const char *path, int64_t now, struct status_totals *ret);

/* Adds the records up to STATUS_DISORDER before `now`, as later ones may still be written. 0 or -errno. */
int status_totals_update(struct status_totals *t, struct status_source *source,
	const struct status_filter *filter, int64_t now);

/* Puts a new file in the place of the old one, synced. 0 or -errno. */
int status_totals_write(const char *path, const struct status_totals *t);
