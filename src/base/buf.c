/* SPDX-License-Identifier: ISC */
/* Appends to buffers of fixed capacity, and never past it. */
#include "base/buf.h"
#include "base/num.h"

void buf_put(struct buf *b, struct span s)
{
	if (b->overflow || s.n > buf_room(b)) {
		b->overflow = true;
		return;
	}
	if (s.n)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

void buf_put_num(struct buf *b, uint64_t value)
{
	buf_put_num_wide(b, value, 1);
}

void buf_put_num_wide(struct buf *b, uint64_t value, size_t width)
{
	char digits[NUM_MAX];
	size_t n = num_format(value, digits);

	for (size_t i = n; i < width; i++)
		buf_put_char(b, '0');
	buf_put(b, (struct span){ digits, n });
}

bool buf_terminate(struct buf *b)
{
	buf_put_char(b, '\0');
	if (b->overflow)
		return false;
	b->n--;
	return true;
}
