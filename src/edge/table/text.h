/* A table in text, held in memory. */
#pragma once

#include "edge/table/table.h"

struct table_pair {
	struct span key, value;
	size_t line;
};

struct table_text {
	char *text; /* owned: all spans lie in it */
	struct table_pair *pairs; /* in the order of their lines */
	size_t n_pairs;
	uint32_t *
		slots; /* numbers of pairs, from 1, by the hashes of their keys; 0: none */
	size_t mask; /* one less than the number of slots */
};

/*
 * Takes `text` over, which the caller has allocated, and finds its pairs. Each fault is told as "line 7: ...";
 * of two lines with one key the second is at fault. How many there were; or -ENOMEM.
 */
int64_t table_text_take(struct table_text *t, char *text, size_t n,
	void (*fault)(void *ctx, const char *what), void *ctx);
void table_text_done(struct table_text *t);

/* NULL: there is none. */
const struct table_pair *table_text_find(const struct table_text *t, struct span key);
