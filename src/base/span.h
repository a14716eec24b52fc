/* SPDX-License-Identifier: ISC */
/*
 * A span is a borrowed view of bytes: a pointer and a length. `struct bytes` is the same
 * for bytes that its user may change in place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

struct bytes {
	char *p;
	size_t n;
};

#define SPAN(literal) ((struct span){ "" literal, sizeof(literal) - 1 })

static inline struct span span_of(const char *s)
{
	return (struct span){ s, s ? strlen(s) : 0 };
}

/* Drops the first n bytes; n is at most s.n. */
static inline struct span span_from(struct span s, size_t n)
{
	return (struct span){ s.p + n, s.n - n };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
}

/* Equals the text; compared up to the first octet that differs. */
static inline bool span_is(struct span s, const char *text)
{
	size_t n = 0;

	while (n < s.n && text[n] && text[n] == s.p[n])
		n++;
	return n == s.n && !text[n];
}

static inline bool ascii_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline bool ascii_is_printable(char c)
{
	return c >= 32 && c <= 126;
}

/* ASCII only, in every locale (RFC 5321 2.4: verbs and domains ignore case). */
static inline bool span_ieq(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

static inline bool span_starts(struct span s, struct span head)
{
	return s.n >= head.n && span_eq((struct span){ s.p, head.n }, head);
}

static inline bool span_ends(struct span s, struct span tail)
{
	return s.n >= tail.n && span_eq(span_from(s, s.n - tail.n), tail);
}

/* Drops the byte order mark that editors on Windows write (RFC 3629 6). */
static inline struct span span_after_mark(struct span text)
{
	static const struct span mark = { "\xef\xbb\xbf", 3 };

	return span_starts(text, mark) ? span_from(text, mark.n) : text;
}

/* Drops the blanks at both ends of a line, and the CR of a CRLF. */
static inline struct span span_trim(struct span s)
{
	while (s.n && ascii_is_blank(*s.p))
		s = span_from(s, 1);
	while (s.n && (ascii_is_blank(s.p[s.n - 1]) || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

/* Takes what stands before the first `end`, or all; *rest begins behind that octet. */
static inline struct span span_take(struct span *rest, char end)
{
	const char *at = rest->n ? memchr(rest->p, end, rest->n) : NULL;
	struct span taken = { rest->p, at ? (size_t)(at - rest->p) : rest->n };

	if (rest->n) /* an empty span may be that of NULL, which has no offsets */
		*rest = span_from(*rest, taken.n + (at != NULL));
	return taken;
}

/* The first line of a text, without its LF. */
static inline struct span span_take_line(struct span *rest)
{
	return span_take(rest, '\n');
}

/* Takes the first word of a trimmed line; *rest begins with the next word. */
static inline struct span span_take_word(struct span *rest)
{
	struct span word = { rest->p, 0 };

	while (word.n < rest->n && !ascii_is_blank(rest->p[word.n]))
		word.n++;
	if (rest->n)
		*rest = span_trim(span_from(*rest, word.n));
	return word;
}
