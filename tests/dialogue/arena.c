/* SPDX-License-Identifier: ISC */
/* Allocates memory that is freed all at once. Without memory the test ends, so callers do not check. */
#include <err.h>
#include <stdlib.h>
#include "arena.h"

static void *or_die(void *p)
{
	if (!p)
		err(99, "memory");
	return p;
}

void *arena_take(struct arena *a, size_t n)
{
	a->pieces = or_die(reallocarray(a->pieces, a->n + 1, sizeof(*a->pieces)));
	return a->pieces[a->n++] = or_die(calloc(1, n ? n : 1));
}

char *arena_copy(struct arena *a, struct span s)
{
	char *copy = arena_take(a, s.n + 1);

	if (s.n)
		memcpy(copy, s.p, s.n);
	return copy;
}

void *arena_more(struct arena *a, void *items, size_t n, size_t size)
{
	void *more;

	/* an array is full only at a power of two, and when it is empty */
	if (n & (n - 1))
		return items;
	more = arena_take(a, (n ? 2 * n : 1) * size);
	if (n)
		memcpy(more, items, n * size);
	return more;
}

void arena_done(struct arena *a)
{
	while (a->n)
		free(a->pieces[--a->n]);
	free(a->pieces);
	*a = (struct arena){ 0 };
}

void text_put(struct arena *a, struct text *t, struct span s)
{
	if (t->cap - t->n < s.n + 1) {
		struct span old = text_span(t);
		t->cap = 2 * (t->n + s.n) + 64;
		t->p = arena_take(a, t->cap);
		if (old.n)
			memcpy(t->p, old.p, old.n);
	}
	if (s.n)
		memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
	t->p[t->n] = '\0';
}

void text_put_char(struct arena *a, struct text *t, char c)
{
	text_put(a, t, (struct span){ &c, 1 });
}

void text_drop(struct text *t, size_t n)
{
	if (n == 0)
		return;
	memmove(t->p, t->p + n, t->n - n + 1);
	t->n -= n;
}
