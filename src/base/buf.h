/* SPDX-License-Identifier: ISC */
/*
 * A buffer of fixed capacity with a sticky overflow flag. An item that does not fit whole
 * is not appended, so callers append freely and check once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

struct buf {
	char *p;
	size_t n;
	size_t cap;
	bool overflow;
};

#define BUF(array) ((struct buf){ .p = (array), .cap = sizeof(array) })

static inline size_t buf_room(const struct buf *b)
{
	return b->cap - b->n;
}

void buf_put(struct buf *b, struct span s);
void buf_put_num(struct buf *b, uint64_t value);
/* At least `width` digits, padded with zeros; width is at most NUM_MAX. */
void buf_put_num_wide(struct buf *b, uint64_t value, size_t width);

static inline void buf_put_char(struct buf *b, char c)
{
	b->overflow |= buf_room(b) == 0;
	if (!b->overflow)
		b->p[b->n++] = c;
}

static inline void buf_put_str(struct buf *b, const char *s)
{
	buf_put(b, span_of(s));
}

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){ b->p, b->n };
}

/* Appends a NUL that is not counted; false when anything did not fit. */
bool buf_terminate(struct buf *b);
