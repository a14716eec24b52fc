/*
 * How often something is started anew by itself: a minimum interval, which doubles with each restart up to a
 * maximum, and begins anew after a quiet while. All times are milliseconds of stream_clock().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct restart_terms {
	size_t n_free; /* so many after a quiet while have no interval */
	uint64_t least, most; /* the first interval, and the longest */
	uint64_t
		quiet; /* without a restart for so long, all begins anew; more than `most` */
};

struct restarts {
	uint64_t last; /* 0: none yet */
	uint64_t interval; /* that must pass after the last */
	size_t n; /* since the last quiet while */
	bool is_recorded; /* that they are put off, since then */
};

/* In how many milliseconds the next may be; 0: now. */
uint64_t restart_wait(
	const struct restarts *r, const struct restart_terms *terms, uint64_t now);

/* One is done now. */
void restart_note(struct restarts *r, const struct restart_terms *terms, uint64_t now);
