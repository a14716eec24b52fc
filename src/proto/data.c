/*
 * Decodes the content of DATA and BDAT in place. The text is the same however the input is split, and never
 * longer than the input, so decoding needs no memory of its own. It works a line at a time, as memchr finds
 * line ends far faster than an automaton that looks at each octet.
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

/*
 * Writes a piece of a line, without its end, at `to`, which is `from` or before it. A run of CRs in it ends
 * nothing: it becomes one space. Returns the end of what was written.
 */
static char *put_piece(struct data *d, char *to, const char *from, size_t n)
{
	const char *limit = from + n, *cr;

	d->octets += n;
	while (from < limit && (cr = memchr(from, '\r', (size_t)(limit - from)))) {
		memmove(to, from, (size_t)(cr - from));
		to += cr - from;
		for (from = cr; from < limit && *from == '\r'; from++)
			;
		*to++ = ' ';
		d->bare = true;
	}
	if (to != from)
		memmove(to, from, (size_t)(limit - from));
	return to + (limit - from);
}

/* How many CRs stand directly before `end`. */
static size_t count_crs(const char *from, const char *end)
{
	const char *p = end;

	while (p > from && p[-1] == '\r')
		p--;
	return (size_t)(end - p);
}

/* Writes the end of a line. One CR belongs to its LF; more of them are dropped. */
static char *put_line_end(struct data *d, char *to, size_t n_crs)
{
	*to++ = '\n';
	d->octets += n_crs + 1;
	d->bare |= n_crs != 1;
	d->at = n_crs ? DATA_AFTER_CRLF : DATA_AFTER_LF;
	return to;
}

/* Takes up to the end of the line that `end` points at, the LF. */
static char *put_line(struct data *d, char *to, const char *from, const char *end)
{
	size_t n_crs = count_crs(from, end);

	to = put_piece(d, to, from, (size_t)(end - from) - n_crs);
	return put_line_end(d, to, n_crs);
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
			/* the last of the CRs at the very end waits for what follows it */
			size_t n_crs = count_crs(p, limit);
			to = put_piece(d, to, p, (size_t)(limit - p) - n_crs);
			d->octets += n_crs ? n_crs - 1 : 0;
			d->bare |= n_crs > 1;
			p = limit - (n_crs > 0);
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

/*
 * Decides about the CRs that the text so far ends with: the end of a line, or one space. Returns where the
 * rest of `in` begins.
 */
static char *settle_crs(struct data *d, struct bytes in, char **to, struct span *ret_kept)
{
	char *p = in.p, *limit = in.p + in.n;

	if (!d->cr)
		return p;
	while (p < limit && *p == '\r')
		p++;
	d->octets += (size_t)(p - in.p);
	d->bare |= p > in.p;
	if (p == limit)
		return p;
	if (*p != '\n') {
		data_chunk_end(d, ret_kept);
		return p;
	}
	d->cr = false;
	d->octets++;
	*(*to)++ = '\n';
	return p + 1;
}

void data_chunk(
	struct data *d, struct bytes in, struct span *ret_kept, struct span *ret_text)
{
	char *limit = in.p + in.n, *to = in.p, *lf;
	char *p;

	*ret_kept = (struct span){ 0 };
	p = settle_crs(d, in, &to, ret_kept);
	while (p < limit && (lf = memchr(p, '\n', (size_t)(limit - p)))) {
		to = put_line(d, to, p, lf);
		p = lf + 1;
	}
	if (p < limit) {
		size_t n_crs = count_crs(p, limit);
		to = put_piece(d, to, p, (size_t)(limit - p) - n_crs);
		d->cr = n_crs > 0;
		d->octets += n_crs;
		d->bare |= n_crs > 1;
	}
	*ret_text = (struct span){ in.p, (size_t)(to - in.p) };
}

void data_chunk_end(struct data *d, struct span *ret_kept)
{
	*ret_kept = d->cr ? SPAN(" ") : SPAN("");
	d->bare |= d->cr;
	d->cr = false;
}
