/*
 * Promises the same text however the input is split, and no more output than input, so
 * that decoding needs no memory of its own. Works a line at a time, as memchr finds line
 * ends far faster than an automaton that looks at each octet.
 */
#include "proto/data.h"

/* What stands at the start of a line that begins with a dot. */
enum dot {
	DOT_UNKNOWN, /* more input is needed */
	DOT_END, /* "." CRLF behind a CRLF */
	DOT_ALONE, /* a line of one dot that ends nothing: it is content */
	DOT_STUFFED, /* to be removed */
};

static enum dot judge_dot(const struct data *d, const char *p, size_t n)
{
	if (n < 2)
		return DOT_UNKNOWN;
	if (p[1] == '\n')
		return DOT_ALONE;
	if (p[1] != '\r')
		return DOT_STUFFED;
	if (n < 3)
		return DOT_UNKNOWN;
	if (p[2] != '\n')
		return DOT_STUFFED;
	return d->at == DATA_AFTER_CRLF ? DOT_END : DOT_ALONE;
}

/* Appends a piece of a line, without its end. A CR in it ends nothing: it becomes a
 * space. */
static char *put_piece(struct data *d, char *to, const char *from, size_t n)
{
	char *cr;

	if (to != from)
		memmove(to, from, n);
	for (cr = memchr(to, '\r', n); cr; cr = memchr(cr, '\r', (size_t)(to + n - cr))) {
		d->bare = true;
		*cr = ' ';
	}
	d->n_line += n;
	d->octets += n;
	d->too_long |= d->n_line > CONTENT_LINE_MAX;
	return to + n;
}

/* Takes up to the end of the line that `end` points at, the LF. */
static char *put_line(struct data *d, char *to, const char *from, const char *end)
{
	bool crlf = end > from && end[-1] == '\r';

	to = put_piece(d, to, from, (size_t)(end - from) - crlf);
	*to++ = '\n';
	d->octets += 1 + crlf;
	d->bare |= !crlf;
	d->n_line = 0;
	d->at = crlf ? DATA_AFTER_CRLF : DATA_AFTER_LF;
	return to;
}

bool data_take(struct data *d, struct bytes *in, struct span *ret_text)
{
	char *p = in->p, *limit = in->p + in->n, *to = in->p;
	bool end = false;

	while (p < limit) {
		char *lf;
		if (d->at != DATA_IN_LINE && *p == '.') {
			enum dot dot = judge_dot(d, p, (size_t)(limit - p));
			end = dot == DOT_END;
			if (end)
				p += 3;
			if (end || dot == DOT_UNKNOWN)
				break;
			p += dot == DOT_STUFFED;
		}
		lf = memchr(p, '\n', (size_t)(limit - p));
		if (!lf) {
			/* a CR at the very end may yet be half of a CRLF */
			size_t n = (size_t)(limit - p) - (limit[-1] == '\r');
			to = put_piece(d, to, p, n);
			p += n;
			d->at = DATA_IN_LINE;
			break;
		}
		to = put_line(d, to, p, lf);
		p = lf + 1;
	}
	*ret_text = (struct span){ in->p, (size_t)(to - in->p) };
	*in = (struct bytes){ p, (size_t)(limit - p) };
	return end;
}

/* The CR that a piece ended with: half of a CRLF, or a space. Returns where the rest begins. */
static char *settle_cr(struct data *d, struct bytes in, char **to, struct span *ret_kept)
{
	if (!d->cr || in.n == 0)
		return in.p;
	if (*in.p != '\n') {
		data_chunk_end(d, ret_kept);
		return in.p;
	}
	d->cr = false;
	d->octets++;
	d->n_line = 0;
	*to = in.p + 1;
	return in.p + 1;
}

void data_chunk(
	struct data *d, struct bytes in, struct span *ret_kept, struct span *ret_text)
{
	char *limit = in.p + in.n, *to = in.p, *lf;
	char *p;

	*ret_kept = (struct span){ 0 };
	p = settle_cr(d, in, &to, ret_kept);
	while (p < limit && (lf = memchr(p, '\n', (size_t)(limit - p)))) {
		to = put_line(d, to, p, lf);
		p = lf + 1;
	}
	if (p < limit) {
		d->cr = limit[-1] == '\r';
		d->octets += d->cr;
		to = put_piece(d, to, p, (size_t)(limit - p) - d->cr);
	}
	*ret_text = (struct span){ in.p, (size_t)(to - in.p) };
}

void data_chunk_end(struct data *d, struct span *ret_kept)
{
	*ret_kept = d->cr ? SPAN(" ") : SPAN("");
	d->n_line += d->cr;
	d->bare |= d->cr;
	d->cr = false;
}
