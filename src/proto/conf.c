/* Promises the syntax of settings; refuses to know which there are. */
#include "proto/conf.h"
#include <stdio.h>
#include "base/num.h"

#define WORD_MAX 40 /* octets of a word that is compared */
#define PART_LEAST 3 /* octets of a part that says something */

enum conf_line conf_parse(struct span line, struct span *ret_key, struct span *ret_value)
{
	const char *equals;
	struct span key;

	line = span_trim(line);
	if (line.n == 0 || *line.p == '#')
		return CONF_BLANK;
	equals = memchr(line.p, '=', line.n);
	if (!equals)
		return CONF_SYNTAX;
	key = span_trim((struct span){ line.p, (size_t)(equals - line.p) });
	if (key.n == 0)
		return CONF_SYNTAX;
	*ret_key = key;
	*ret_value = span_trim(span_from(line, (size_t)(equals - line.p) + 1));
	return CONF_PAIR;
}

bool conf_quantity(
	struct span text, const char *units, const uint64_t *factors, uint64_t *ret)
{
	uint64_t factor = 1, number;

	if (text.n) {
		char last = ascii_lower(text.p[text.n - 1]);
		const char *unit = last ? strchr(units, last) : NULL;
		if (unit) {
			factor = factors[unit - units];
			text.n--;
		}
	}
	return num_parse(text, &number) && !__builtin_mul_overflow(number, factor, ret);
}

static char folded(char c)
{
	return c == '_' ? '-' : ascii_lower(c);
}

/* Letters that differ, are missing, are too many or stand in each other's place; more than `WORD_MAX` is far. */
static size_t distance(struct span a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], n = strlen(b);
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	if (a.n > WORD_MAX || n > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= n; j++)
		above[j] = before[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *last = before;
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			bool same = folded(a.p[i - 1]) == folded(b[j - 1]);
			row[j] = above[j - 1] + !same;
			if (above[j] + 1 < row[j])
				row[j] = above[j] + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			if (i > 1 && j > 1 && folded(a.p[i - 1]) == b[j - 2] &&
				folded(a.p[i - 2]) == b[j - 1] &&
				before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = above;
		above = row;
		row = last;
	}
	return above[n];
}

static bool has_part(struct span whole, struct span part)
{
	for (size_t i = 0; part.n >= PART_LEAST && i + part.n <= whole.n; i++) {
		size_t n = 0;
		while (n < part.n && folded(whole.p[i + n]) == folded(part.p[n]))
			n++;
		if (n == part.n)
			return true;
	}
	return false;
}

const char *conf_nearest(struct span text, const char *const *words)
{
	size_t least = WORD_MAX;
	const char *found = NULL;

	for (const char *const *w = words; *w; w++) {
		size_t n = distance(text, *w);
		if (n >= least || 3 * n > strlen(*w) || n > 2)
			continue;
		least = n;
		found = *w;
	}
	for (const char *const *w = words; *w && !found; w++)
		found = has_part(span_of(*w), text) ? *w : NULL;
	for (const char *const *w = words; *w && !found; w++)
		found = has_part(text, span_of(*w)) ? *w : NULL;
	return found;
}

void conf_put_meant(
	char to[static CONF_MEANT_MAX], struct span text, const char *const *words)
{
	const char *word = conf_nearest(text, words);

	*to = '\0';
	if (word)
		snprintf(to, CONF_MEANT_MAX, "; did you mean %.24s?", word);
}
