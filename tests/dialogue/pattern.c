/* SPDX-License-Identifier: ISC */
/* Matches patterns in linear memory. */
#include "base/num.h"
#include "pattern.h"

#define STAR                                                                             \
	'\x01' /* "..." in a compiled pattern; no dialogue needs that octet in one       \
		*/
#define REPEAT_MAX (4 * 1024 * 1024)

static int hex_value(char c)
{
	char l = ascii_lower(c);

	if (c >= '0' && c <= '9')
		return c - '0';
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Takes "{N*text}" after the backslash. Returns the octets taken; 0: no such escape. */
static size_t repeat(struct arena *a, struct text *to, struct span raw)
{
	const char *star = memchr(raw.p, '*', raw.n), *end = memchr(raw.p, '}', raw.n);
	struct text once = { 0 };
	uint64_t n;

	if (!star || !end || star > end ||
		!num_parse((struct span){ raw.p + 1, (size_t)(star - raw.p) - 1 }, &n) ||
		n > REPEAT_MAX)
		return 0;
	if (!pattern_unescape(
		    a, &once, (struct span){ star + 1, (size_t)(end - star) - 1 }))
		return 0;
	while (n--)
		text_put(a, to, text_span(&once));
	return (size_t)(end - raw.p) + 1;
}

/* Takes an escape after its backslash. Returns the octets taken; 0: no such escape. */
static size_t escape(struct arena *a, struct text *to, struct span raw)
{
	static const char names[] = "rnt0\\", values[] = "\r\n\t\0\\";
	int high, low;
	const char *name = raw.n ? memchr(names, *raw.p, sizeof(names) - 1) : NULL;

	if (name) {
		text_put_char(a, to, values[name - names]);
		return 1;
	}
	if (raw.n && *raw.p == '{')
		return repeat(a, to, raw);
	if (raw.n < 3 || *raw.p != 'x')
		return 0;
	high = hex_value(raw.p[1]);
	low = hex_value(raw.p[2]);
	if (high < 0 || low < 0)
		return 0;
	text_put_char(a, to, (char)(high * 16 + low));
	return 3;
}

bool pattern_unescape(struct arena *a, struct text *to, struct span raw)
{
	while (raw.n) {
		const char *mark = memchr(raw.p, '\\', raw.n);
		size_t n = mark ? (size_t)(mark - raw.p) : raw.n;
		text_put(a, to, (struct span){ raw.p, n });
		raw = span_from(raw, n);
		if (!raw.n)
			break;
		raw = span_from(raw, 1);
		n = escape(a, to, raw);
		if (n == 0)
			return false;
		raw = span_from(raw, n);
	}
	return true;
}

/* Octets of a "..." with its blanks at the front of `s`, or 0. */
static size_t star_length(struct span s)
{
	size_t i = s.n && *s.p == ' ';

	if (s.n < i + 3 || memcmp(s.p + i, "...", 3) != 0)
		return 0;
	i += 3;
	return i + (i < s.n && s.p[i] == ' ');
}

bool pattern_compile(struct arena *a, struct span raw, bool escapes, struct span *ret)
{
	struct text out = { 0 };

	while (raw.n) {
		size_t star = star_length(raw), n = 0;
		if (star) {
			text_put_char(a, &out, STAR);
			raw = span_from(raw, star);
			continue;
		}
		while (n < raw.n && !star_length(span_from(raw, n)))
			n++;
		if (!escapes)
			text_put(a, &out, (struct span){ raw.p, n });
		else if (!pattern_unescape(a, &out, (struct span){ raw.p, n }))
			return false;
		raw = span_from(raw, n);
	}
	*ret = text_span(&out);
	return true;
}

bool pattern_matches(struct span pattern, struct span text)
{
	size_t i = 0, j = 0, star = 0, star_text = 0;
	bool has_star = false;

	while (j < text.n) {
		if (i < pattern.n && pattern.p[i] == STAR) {
			has_star = true;
			star = ++i;
			star_text = j;
		} else if (i < pattern.n && pattern.p[i] == text.p[j]) {
			i++;
			j++;
		} else if (has_star) {
			i = star;
			j = ++star_text;
		} else {
			return false;
		}
	}
	while (i < pattern.n && pattern.p[i] == STAR)
		i++;
	return i == pattern.n;
}

bool pattern_is_any(struct span pattern)
{
	return pattern.n == 1 && *pattern.p == STAR;
}
