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

static inline bool span_ends(struct span s, struct span tail)
{
	return s.n >= tail.n && span_eq(span_from(s, s.n - tail.n), tail);
}

/* Drops the byte order mark that editors on Windows write (RFC 3629 6). */
static inline struct span span_after_mark(struct span text)
{
	static const struct span mark = { "\xef\xbb\xbf", 3 };

	return text.n >= mark.n && memcmp(text.p, mark.p, mark.n) == 0
		       ? span_from(text, mark.n)
		       : text;
}

/* Drops the blanks at both ends of a line, and the CR of a CRLF. */
static inline struct span span_trim(struct span s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t'))
		s = span_from(s, 1);
	while (s.n &&
		(s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

/* Takes the first line of a text, without its LF; *rest begins with the next line. */
static inline struct span span_take_line(struct span *rest)
{
	const char *lf = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	struct span line = { rest->p, lf ? (size_t)(lf - rest->p) : rest->n };

	*rest = span_from(*rest, line.n + (lf != NULL));
	return line;
}

/* Takes the first word of a trimmed line; *rest begins with the next word. */
static inline struct span span_take_word(struct span *rest)
{
	struct span word = { rest->p, 0 };

	while (word.n < rest->n && rest->p[word.n] != ' ' && rest->p[word.n] != '\t')
		word.n++;
	*rest = span_trim(span_from(*rest, word.n));
	return word;
}
