/* SPDX-License-Identifier: ISC */
/*
 * The content of a message: decoding of DATA and BDAT, repair of the first line, and
 * reading of the header. The result does not depend on how the input is split. Content is
 * decoded in place, because the result is never longer than the input. It is decoded line
 * by line, because memchr() finds line ends far faster than an automaton that examines
 * each octet.
 */
#include "proto/data.h"

/* The start of a line that begins with a dot. */
enum dot {
	DOT_UNKNOWN, /* more input is needed */
	DOT_END, /* "." CRLF behind a CRLF */
	DOT_ALONE, /* a line of one dot that does not end the content: it is part of it */
	DOT_STUFFED, /* it is removed */
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
 * Writes a piece of a line, without its end, at `to`, which is `from` or before it. A run
 * of CRs in it becomes one space. Returns the end of the written text.
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

/* Returns the number of CRs directly before `end`. */
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

/* Takes the line up to its LF, to which `end` points. */
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
			/* the last CR at the very end waits for the next octet */
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
 * Decides about the CRs at the end of the text so far: the end of a line, or one space.
 * Returns the start of the rest of `in`.
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

/*
 * The repair of the first line. Octets are held only while an earlier piece of the
 * content has ended within the part that decides; in all other cases the content passes
 * as it is, in one piece.
 */
enum verdict {
	UNDECIDED,
	FINE, /* an empty line, or a field */
	FROM, /* ">*From " */
	OTHER,
};

/* ftext = %d33-57 / %d59-126 (RFC 5322 3.6.8) */
static bool is_name_octet(char c)
{
	return c > 32 && c < 127 && c != ':';
}

/* True when the name so far is ">*From", of which this octet is the next. */
static bool continues_from(const struct first_line *f, char c)
{
	static const char from[] = "From ";
	size_t i = f->n - f->n_angles;

	return (i == 0 || f->is_from) && i < sizeof(from) - 1 && c == from[i];
}

static enum verdict judge_name(struct first_line *f, char c)
{
	if (f->n == 0 && c == '\n')
		return FINE;
	if (f->n == 0 && c == '\r') {
		f->at = FIRST_LINE_CR;
		return UNDECIDED;
	}
	if (c == ':')
		return f->n ? FINE : OTHER;
	if (ascii_is_blank(c) && f->n) {
		f->is_from = continues_from(f, c);
		f->at = FIRST_LINE_BLANKS;
		return UNDECIDED;
	}
	if (!is_name_octet(c) || f->n == FIRST_LINE_NAME_MAX)
		return OTHER;
	if (c == '>' && f->n == f->n_angles)
		f->n_angles++;
	else
		f->is_from = continues_from(f, c);
	return UNDECIDED;
}

static enum verdict judge_blanks(const struct first_line *f, char c)
{
	if (c == ':')
		return FINE;
	if (ascii_is_blank(c) && f->n < FIRST_LINE_HELD_MAX - 1)
		return UNDECIDED;
	return f->is_from ? FROM : OTHER;
}

static enum verdict judge(struct first_line *f, char c)
{
	switch (f->at) {
	case FIRST_LINE_NAME:
		return judge_name(f, c);
	case FIRST_LINE_BLANKS:
		return judge_blanks(f, c);
	default:
		return c == '\n' ? FINE : OTHER;
	}
}

/* Lets the line pass from its start, after the prefix that it needs. */
static void decide(struct first_line *f, enum verdict verdict)
{
	if (verdict == OTHER)
		f->prefix = SPAN("\n");
	else if (verdict == FROM)
		f->prefix = SPAN("X-Mailbox-Line: ");
	f->at = verdict == FROM ? FIRST_LINE_MAILBOX : FIRST_LINE_DONE;
	f->held_out = f->n_held > 0;
	f->n = f->n_angles = 0;
	f->is_from = false;
}

/* Examines the part of the line that has arrived, and holds it while it is undecided. */
static void judge_text(struct first_line *f, struct span *text)
{
	enum verdict verdict = UNDECIDED;
	size_t i = 0;

	while (i < text->n && (verdict = judge(f, text->p[i])) == UNDECIDED) {
		f->n++;
		i++;
	}
	if (verdict != UNDECIDED) {
		decide(f, verdict);
		return;
	}
	memcpy(f->held + f->n_held, text->p, i);
	f->n_held += i;
	*text = span_from(*text, i);
}

/*
 * Returns the part of the text that passes now: all of it, or up to the end of the From_
 * line.
 */
static struct span passing(struct first_line *f, struct span text)
{
	const char *lf;

	if (f->at == FIRST_LINE_DONE || !(lf = memchr(text.p, '\n', text.n)))
		return text;
	f->at = FIRST_LINE_NAME;
	return (struct span){ text.p, (size_t)(lf - text.p) + 1 };
}

bool first_line_take(struct first_line *f, struct span *text, struct span *ret_piece)
{
	if (f->at < FIRST_LINE_MAILBOX && text->n)
		judge_text(f, text);
	if (f->prefix.n) {
		*ret_piece = f->prefix;
		f->prefix = (struct span){ 0 };
		return true;
	}
	if (f->held_out) {
		*ret_piece = (struct span){ f->held, f->n_held };
		f->n_held = 0;
		f->held_out = false;
		return true;
	}
	if (text->n == 0)
		return false;
	*ret_piece = passing(f, *text);
	*text = span_from(*text, ret_piece->n);
	return true;
}

void first_line_end(struct first_line *f)
{
	if (f->at < FIRST_LINE_MAILBOX && f->n)
		decide(f, f->is_from && f->at == FIRST_LINE_BLANKS ? FROM : OTHER);
}

static bool name_is(const struct header *h, struct span name)
{
	return h->n_column == name.n && span_eq((struct span){ h->name, name.n }, name);
}

static void end_line(struct header *h)
{
	h->done = h->n_column == 0;
	h->n_column = 0;
	if (h->n_message_id)
		h->in_message_id = false;
}

/*
 * Keeps a field name in lower case while it can still be a name that is looked for.
 * Blanks between name and colon are obsolete (RFC 5322 4.5). They are skipped, because
 * they would hide a hop.
 */
static void watch_name(struct header *h, char c)
{
	if (ascii_is_blank(c) && h->n_column > 0)
		return;
	if (h->n_column < HEADER_NAME_MAX)
		h->name[h->n_column] = ascii_lower(c);
	h->n_column++;
	if (c != ':')
		return;
	if (name_is(h, SPAN("received:")))
		h->n_received++;
	else if (name_is(h, SPAN("message-id:")) && !h->n_message_id)
		h->in_message_id = true;
}

static void watch_octet(struct header *h, char c)
{
	/* BINARYMIME keeps its CRLF */
	if (c == '\r')
		return;
	if (c == '\n') {
		end_line(h);
		return;
	}
	/* a line that begins with a blank continues the field (RFC 5322 2.2.3) */
	if (h->n_column == 0 && c != ' ' && c != '\t')
		h->in_message_id = false;
	if (h->in_message_id) {
		h->n_column++;
		if (c != ' ' && c != '\t' && h->n_message_id < MESSAGE_ID_MAX)
			h->message_id[h->n_message_id++] = c;
		return;
	}
	watch_name(h, c);
}

void header_watch(struct header *h, struct span text)
{
	for (size_t i = 0; i < text.n && !h->done; i++)
		watch_octet(h, text.p[i]);
}
