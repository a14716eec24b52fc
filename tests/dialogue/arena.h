/* SPDX-License-Identifier: ISC */
/* Memory of one dialogue or one run: allocated in pieces, freed all at once. */
#pragma once

#include "base/span.h"

struct arena {
	void **pieces;
	size_t n;
};

/* Text that grows; a NUL that is not counted always follows it. Zero is empty. */
struct text {
	char *p;
	size_t n;
	size_t cap;
};

/* Zeroed, never NULL: a test without memory ends. */
void *arena_take(struct arena *a, size_t n);
char *arena_copy(struct arena *a, struct span s);
/* Makes room for one more item after `n` of `size` octets; the array may move. Only this function may grow it. */
void *arena_more(struct arena *a, void *items, size_t n, size_t size);
void arena_done(struct arena *a);

void text_put(struct arena *a, struct text *t, struct span s);
void text_put_char(struct arena *a, struct text *t, char c);
/* Takes n octets away from the front. */
void text_drop(struct text *t, size_t n);

static inline struct span text_span(const struct text *t)
{
	return (struct span){ t->p, t->n };
}
