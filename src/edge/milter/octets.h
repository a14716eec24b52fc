/* SPDX-License-Identifier: ISC */
/* Octets in memory that grows, and is kept for the next message unless it is large. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include "base/buf.h"

#define OCTETS_FIRST 1024
#define OCTETS_KEPT_MAX (1024 * 1024) /* memory that is kept for the next message */

struct octets {
	char *p; /* owned */
	size_t n, cap;
};

/*
 * COST: copies what there is, where realloc() would copy the rest of the room as well
 * and so touch its pages: 15 page faults of a session with a filter, 40 us. Large ones
 * are moved by realloc().
 */
static inline char *octets_grow(struct octets *o, size_t cap)
{
	char *more;

	if (o->cap > OCTETS_KEPT_MAX)
		return realloc(o->p, cap);
	more = malloc(cap);
	if (more && o->n)
		memcpy(more, o->p, o->n);
	if (more)
		free(o->p);
	return more;
}

/* Makes room for n more octets, and at most `most` in all. 0, -ENOMEM or -EFBIG. */
static inline int octets_reserve(struct octets *o, size_t n, size_t most)
{
	size_t cap = o->cap ? o->cap : OCTETS_FIRST;
	char *more;

	if (o->n > most || n > most - o->n)
		return -EFBIG;
	while (cap - o->n < n)
		cap *= 2;
	if (cap == o->cap)
		return 0;
	more = octets_grow(o, cap);
	if (!more)
		return -ENOMEM;
	o->p = more;
	o->cap = cap;
	return 0;
}

static inline int octets_put(struct octets *o, struct span text, size_t most)
{
	int r = octets_reserve(o, text.n, most);

	if (r == 0 && text.n) {
		memcpy(o->p + o->n, text.p, text.n);
		o->n += text.n;
	}
	return r;
}

static inline struct span octets_span(const struct octets *o)
{
	return (struct span){ o->p, o->n };
}

static inline void octets_done(struct octets *o)
{
	free(o->p);
	*o = (struct octets){ .p = NULL };
}

static inline void octets_clear(struct octets *o)
{
	o->n = 0;
	if (o->cap > OCTETS_KEPT_MAX)
		octets_done(o);
}
