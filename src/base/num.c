/* SPDX-License-Identifier: ISC */
/* Decimal numbers. Overflow is an error, and so are signs, spaces and other bases. */
#include "base/num.h"

bool num_parse(struct span s, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > NUM_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(s.p[i] - '0');
		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, digit, &v))
			return false;
	}
	*ret = v;
	return true;
}

bool num_is_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned)(s.p[i] - '0') > 9)
			return false;
	return s.n > 0 && s.n <= NUM_MAX;
}

size_t num_format(uint64_t value, char *to)
{
	char digits[NUM_MAX];
	size_t n = 0;

	do
		digits[n++] = (char)('0' + value % 10);
	while (value /= 10);
	for (size_t i = 0; i < n; i++)
		to[i] = digits[n - 1 - i];
	return n;
}
