/*
 * Promises one spelling for each code point, as the ABNF has it, and no control characters, neither ASCII's
 * nor U+0080 to U+009F: the ABNF lets some pass, but no mailbox here has them, and in a report they would do
 * harm.
 */
#include "proto/unitext.h"
#include "proto/utf8.h"

#define HEXPOINT_MIN 2
#define HEXPOINT_MAX 6
#define GRAPHIC_FIRST 0xa0 /* above ASCII */
#define LARGEST 0x10ffff

static int hex_value(char c)
{
	char l = ascii_lower(c);

	if (c >= '0' && c <= '9')
		return c - '0';
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* The digits are the fewest that do, but at least two. */
static bool is_hexpoint(uint32_t point, size_t n_digits)
{
	if (point < GRAPHIC_FIRST)
		return n_digits == HEXPOINT_MIN && point && strchr(" +=\\", (int)point);
	if (point > LARGEST || (point >= 0xd800 && point <= 0xdfff))
		return false;
	return n_digits == HEXPOINT_MIN || point >> 4 * (n_digits - 1) != 0;
}

/* EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"      in any case, as all strings of an ABNF */
static bool take_embedded(struct span *s, uint32_t *ret)
{
	static const struct span start = { "\\x{", 3 };
	uint32_t point = 0;
	size_t i = start.n;

	if (s->n < start.n || !span_eq((struct span){ s->p, start.n }, start))
		return false;
	for (; i < s->n && i < start.n + HEXPOINT_MAX && hex_value(s->p[i]) >= 0; i++)
		point = point << 4 | (uint32_t)hex_value(s->p[i]);
	if (i == s->n || s->p[i] != '}' || !is_hexpoint(point, i - start.n))
		return false;
	*s = span_from(*s, i + 1);
	*ret = point;
	return true;
}

/* QUCHAR = QCHAR / UTF8-2 / UTF8-3 / UTF8-4    QCHAR = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e */
static size_t quchar_length(struct span s)
{
	if (*s.p >= 33 && *s.p <= 126)
		return strchr("+=\\", *s.p) ? 0 : 1;
	return utf8_non_ascii(s);
}

/* utf-8-addr-unitext = 1*(QUCHAR / EmbeddedUnicodeChar) */
bool unitext_valid(struct span text, bool utf8)
{
	uint32_t point;

	if (text.n == 0)
		return false;
	while (text.n) {
		size_t n = quchar_length(text);
		if (n == 0 && !take_embedded(&text, &point))
			return false;
		if (n > 1 && !utf8)
			return false;
		text = span_from(text, n);
	}
	return true;
}

static char tail(uint32_t point, unsigned shift)
{
	return (char)(0x80 | (point >> shift & 0x3f));
}

/* RFC 3629 3 */
static void put_point(struct buf *to, uint32_t point)
{
	if (point < 0x80) {
		buf_put_char(to, (char)point);
		return;
	}
	if (point < 0x800) {
		buf_put_char(to, (char)(0xc0 | point >> 6));
	} else if (point < 0x10000) {
		buf_put_char(to, (char)(0xe0 | point >> 12));
		buf_put_char(to, tail(point, 6));
	} else {
		buf_put_char(to, (char)(0xf0 | point >> 18));
		buf_put_char(to, tail(point, 12));
		buf_put_char(to, tail(point, 6));
	}
	buf_put_char(to, tail(point, 0));
}

void unitext_put(struct buf *to, struct span text)
{
	uint32_t point;

	while (text.n) {
		if (take_embedded(&text, &point)) {
			put_point(to, point);
			continue;
		}
		buf_put_char(to, *text.p);
		text = span_from(text, 1);
	}
}
