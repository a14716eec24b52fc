/*
 * Promises that what is returned is header and nothing of the content: it ends at the first line that is no
 * field, empty or not. Refuses to know what the fields say.
 */
#include "proto/returned.h"
#include "proto/utf8.h"

#define LINE_MAX_8BIT 998 /* octets of a line without its end (RFC 2045 2.8) */
#define QUOTED_LINE_MAX 75 /* and one for the "=" at its end (RFC 2045 6.7) */

static bool is_line_start(const struct returned *r)
{
	return r->text.n == 0 || r->text.p[r->text.n - 1] == '\n';
}

static void take_octet(struct returned *r, char c)
{
	/* BINARYMIME keeps its CRLF */
	if (c == '\n' && !is_line_start(r) && r->text.p[r->text.n - 1] == '\r')
		r->text.n--;
	if ((c == '\n' && is_line_start(r)) || buf_room(&r->text) == 0)
		r->done = true;
	else
		buf_put_char(&r->text, c);
}

void returned_take(struct returned *r, struct span text)
{
	for (size_t i = 0; i < text.n && !r->done; i++)
		take_octet(r, text.p[i]);
}

/* field = field-name *WSP ":" unstructured CRLF (RFC 5322 2.2, 4.5) */
static bool is_field(struct span line)
{
	size_t i = 0;

	while (i < line.n && line.p[i] > 32 && line.p[i] < 127 && line.p[i] != ':')
		i++;
	if (i == 0)
		return false;
	while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i < line.n && line.p[i] == ':';
}

/* A line that begins with a blank goes on with the field before (RFC 5322 2.2.3). */
static bool is_continuation(struct span line, size_t at)
{
	return at > 0 && line.n && (*line.p == ' ' || *line.p == '\t');
}

/* The octets of the whole lines in front that are fields. */
static size_t fields_length(struct span text)
{
	const char *lf;
	size_t at = 0;

	while (at < text.n && (lf = memchr(text.p + at, '\n', text.n - at))) {
		struct span line = { text.p + at, (size_t)(lf - text.p) - at };
		if (!is_field(line) && !is_continuation(line, at))
			break;
		at += line.n + 1;
	}
	return at;
}

/* All of it may stand in mail as it is, but for octets above 127. */
static bool is_plain(struct span text)
{
	size_t n_line = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if ((c < 32 && c != '\t' && c != '\n') || c == 127)
			return false;
		n_line = c == '\n' ? 0 : n_line + 1;
		if (n_line > LINE_MAX_8BIT)
			return false;
	}
	return true;
}

/* A boundary with "=_" in it is never in quoted-printable text (RFC 2045 6.7). */
static enum returned_encoding choose(struct span text, struct span boundary, bool utf8)
{
	if (!is_plain(text) || (text.n && memmem(text.p, text.n, boundary.p, boundary.n)))
		return RETURNED_QUOTED;
	if (utf8_is_ascii(text))
		return RETURNED_7BIT;
	return utf8 && utf8_valid(text) ? RETURNED_8BIT : RETURNED_QUOTED;
}

void returned_seal(struct returned *r, struct span boundary, bool utf8)
{
	/* a message that ends in the middle of its header */
	returned_take(r, SPAN("\n"));
	r->text.n = fields_length(buf_span(&r->text));
	r->encoding = choose(buf_span(&r->text), boundary, utf8);
	returned_rewind(r);
}

void returned_rewind(struct returned *r)
{
	r->at = r->n_line = 0;
}

/* A blank at the end of a line would be lost on the way. */
static bool is_quoted_as_is(struct span rest)
{
	char c = *rest.p;

	if (c == ' ' || c == '\t')
		return rest.n > 1 && rest.p[1] != '\n';
	return c > 32 && c < 127 && c != '=';
}

static void put_hex(struct buf *to, char c)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char octet = (unsigned char)c;

	buf_put_char(to, '=');
	buf_put_char(to, hex[octet >> 4]);
	buf_put_char(to, hex[octet & 15]);
}

static void put_quoted(struct returned *r, struct buf *to, struct span rest)
{
	bool as_is = is_quoted_as_is(rest);
	size_t n = as_is ? 1 : 3;

	if (*rest.p == '\n') {
		buf_put_char(to, '\n');
		r->n_line = 0;
		return;
	}
	if (r->n_line + n > QUOTED_LINE_MAX) {
		buf_put(to, SPAN("=\n"));
		r->n_line = 0;
	}
	r->n_line += n;
	if (as_is)
		buf_put_char(to, *rest.p);
	else
		put_hex(to, *rest.p);
}

bool returned_put(struct returned *r, struct buf *to)
{
	struct span rest = span_from(buf_span(&r->text), r->at);

	if (r->encoding != RETURNED_QUOTED && rest.n) {
		size_t n = rest.n < buf_room(to) ? rest.n : buf_room(to);
		buf_put(to, (struct span){ rest.p, n });
		r->at += n;
		return n == rest.n;
	}
	for (; rest.n && buf_room(to) >= RETURNED_ROOM; rest = span_from(rest, 1)) {
		put_quoted(r, to, rest);
		r->at++;
	}
	return rest.n == 0;
}
