/* SPDX-License-Identifier: ISC */
/*
 * Command lines, cut from a stream of octets and split into verb and argument. The result
 * does not depend on how the input is split, and an overlong line needs no memory beyond
 * the limit. Requests of HTTP and TLS are recognised, because they get replies of their
 * own.
 */
#include "proto/line.h"

/* Keeps the last LINE_TAIL octets of the old tail and the new input. */
static void keep_tail(struct line_reader *r, const struct bytes *in, size_t n)
{
	size_t n_new = n < LINE_TAIL ? n : LINE_TAIL;
	size_t n_old = r->n_tail + n_new > LINE_TAIL ? LINE_TAIL - n_new : r->n_tail;

	memmove(r->tail, r->tail + r->n_tail - n_old, n_old);
	memcpy(r->tail + n_old, in->p + n - n_new, n_new);
	r->n_tail = n_old + n_new;
}

static void drop(struct line_reader *r, struct bytes *in, size_t n)
{
	if (r->n_dropped == 0)
		r->n_tail = 0;
	keep_tail(r, in, n);
	r->nul |= memchr(in->p, '\0', n) != NULL;
	r->n_dropped += n;
	in->p += n;
	in->n -= n;
}

/* Returns the tail of a line, without its line end. */
static struct span tail_text(const struct line_reader *r)
{
	size_t n = r->n_tail - 1;

	if (n > 0 && r->tail[n - 1] == '\r')
		n--;
	return (struct span){ r->tail, n };
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
		line.text = tail_text(r);
	} else {
		line.crlf = n > 0 && end[-1] == '\r';
		line.text = (struct span){ in->p, n - line.crlf };
		line.bare = !line.crlf ||
			    (line.text.n && memchr(line.text.p, '\r', line.text.n));
		line.nul = line.text.n && memchr(line.text.p, '\0', line.text.n);
		in->p += n + 1;
		in->n -= n + 1;
	}
	r->n_dropped = 0;
	r->nul = false;
	*ret = line;
	return true;
}

#define TLS_RECORD_HANDSHAKE 0x16
#define TLS_RECORD_MAJOR 0x03
#define TLS_CLIENT_HELLO 1
#define SSL2_HEADER 0x80 /* the top bit of the length */
#define SSL2_MINOR 2

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct span without_padding(struct span line)
{
	while (line.n && ascii_is_blank(line.p[line.n - 1]))
		line.n--;
	return line;
}

bool command_is_padded(struct span line)
{
	return line.n && ascii_is_blank(line.p[line.n - 1]);
}

struct command command_parse(struct span line)
{
	struct command c;
	size_t i = 0;

	line = without_padding(line);
	while (i < line.n && !ascii_is_blank(line.p[i]))
		i++;
	c.verb = (struct span){ line.p, i };
	while (i < line.n && ascii_is_blank(line.p[i]))
		i++;
	c.args = span_from(line, i);
	return c;
}

/* request-line = method SP request-target SP "HTTP/" DIGIT "." DIGIT */
bool command_is_http(struct span line)
{
	static const struct span version = { " HTTP/", 6 };
	struct span tail;

	line = without_padding(line);
	if (line.n < version.n + 3)
		return false;
	tail = span_from(line, line.n - version.n - 3);
	return span_eq((struct span){ tail.p, version.n }, version) &&
	       is_digit(tail.p[6]) && tail.p[7] == '.' && is_digit(tail.p[8]);
}

bool command_is_ssl2(struct bytes in)
{
	return in.n > 4 && in.p[0] & SSL2_HEADER && in.p[2] == TLS_CLIENT_HELLO &&
	       (in.p[3] == TLS_RECORD_MAJOR || (in.p[3] == 0 && in.p[4] == SSL2_MINOR));
}

bool command_is_tls(struct bytes in)
{
	return (in.n >= 2 && in.p[0] == TLS_RECORD_HANDSHAKE &&
		       in.p[1] == TLS_RECORD_MAJOR) ||
	       command_is_ssl2(in);
}
