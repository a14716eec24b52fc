/*
 * Promises that each character has one encoding alone, and that none is a surrogate or above U+10FFFF.
 * Refuses to know what characters mean.
 */
#include "proto/utf8.h"

/* What the second octet may be, as the first one has it. Those behind it are %x80-BF. */
struct lead {
	unsigned char first, last; /* first octets */
	unsigned char n; /* of the character */
	unsigned char low, high; /* second octets */
};

/*
 * UTF8-2 = %xC2-DF UTF8-tail
 * UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) /
 *          %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 * UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) / %xF4 %x80-8F 2( UTF8-tail )
 */
static const struct lead leads[] = {
	{ 0xC2, 0xDF, 2, 0x80, 0xBF },
	{ 0xE0, 0xE0, 3, 0xA0, 0xBF },
	{ 0xE1, 0xEC, 3, 0x80, 0xBF },
	{ 0xED, 0xED, 3, 0x80, 0x9F },
	{ 0xEE, 0xEF, 3, 0x80, 0xBF },
	{ 0xF0, 0xF0, 4, 0x90, 0xBF },
	{ 0xF1, 0xF3, 4, 0x80, 0xBF },
	{ 0xF4, 0xF4, 4, 0x80, 0x8F },
};

static unsigned char octet(struct span s, size_t i)
{
	return (unsigned char)s.p[i];
}

static const struct lead *find_lead(unsigned char c)
{
	for (size_t i = 0; i < sizeof(leads) / sizeof(*leads); i++)
		if (c >= leads[i].first && c <= leads[i].last)
			return &leads[i];
	return NULL;
}

size_t utf8_length(struct span s)
{
	const struct lead *lead;

	if (s.n == 0)
		return 0;
	if (octet(s, 0) < 0x80)
		return 1;
	lead = find_lead(octet(s, 0));
	if (!lead || s.n < lead->n || octet(s, 1) < lead->low || octet(s, 1) > lead->high)
		return 0;
	for (size_t i = 2; i < lead->n; i++)
		if ((octet(s, i) & 0xC0) != 0x80)
			return 0;
	return lead->n;
}

bool utf8_valid(struct span s)
{
	while (s.n) {
		size_t n = utf8_length(s);
		if (n == 0)
			return false;
		s = span_from(s, n);
	}
	return true;
}

bool utf8_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (octet(s, i) >= 0x80)
			return false;
	return true;
}

size_t utf8_non_ascii(struct span s)
{
	size_t n = utf8_length(s);
	bool is_control = n == 2 && octet(s, 0) == 0xC2 && octet(s, 1) < 0xA0;

	return n < 2 || is_control ? 0 : n;
}
