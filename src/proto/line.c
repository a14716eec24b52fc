/*
 * Promises that the lines are the same however the input is split, and that a line of any
 * length needs no memory beyond its limit. Refuses to know what a line means.
 */
#include "proto/line.h"

static void drop(struct line_reader *r, struct bytes *in, size_t n)
{
	r->nul |= memchr(in->p, '\0', n) != NULL;
	r->n_dropped += n;
	in->p += n;
	in->n -= n;
}

bool line_take(struct line_reader *r, struct bytes *in, size_t max, struct line *ret)
{
	char *end = in->n ? memchr(in->p, '\n', in->n) : NULL;
	struct line line = { 0 };
	size_t n;

	if (!end) {
		if (r->n_dropped || in->n >= max)
			drop(r, in, in->n);
		return false;
	}
	n = (size_t)(end - in->p);
	line.too_long = r->n_dropped || n + 1 > max;
	if (line.too_long) {
		drop(r, in, n + 1);
		line.nul = r->nul;
	} else {
		line.crlf = n > 0 && end[-1] == '\r';
		line.text = (struct span){ in->p, n - line.crlf };
		line.bare = !line.crlf ||
			    (line.text.n && memchr(line.text.p, '\r', line.text.n));
		line.nul = line.text.n && memchr(line.text.p, '\0', line.text.n);
		in->p += n + 1;
		in->n -= n + 1;
	}
	*r = (struct line_reader){ 0 };
	*ret = line;
	return true;
}
