/* Promises the syntax of settings; refuses to know which there are. */
#include "proto/conf.h"
#include "base/num.h"

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
