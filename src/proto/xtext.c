/* Promises that no octet it decodes is a control character; refuses to know what the text says. */
#include "proto/xtext.h"

#define HEXCHAR_OCTETS 3

/* Upper case only. 16: it is no such digit. */
static unsigned hex_value(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (unsigned)(at - digits) : 16;
}

/*
 * xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
 * hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits
 * 0: neither stands at the front of `s`.
 */
static char take(struct span *s)
{
	unsigned high, low;
	char c = *s->p;

	if (c != '+') {
		*s = span_from(*s, 1);
		return c > 32 && c < 127 && c != '=' ? c : '\0';
	}
	if (s->n < HEXCHAR_OCTETS)
		return '\0';
	high = hex_value(s->p[1]);
	low = hex_value(s->p[2]);
	*s = span_from(*s, HEXCHAR_OCTETS);
	return high < 16 && low < 16 ? (char)(high << 4 | low) : '\0';
}

bool xtext_valid(struct span text)
{
	while (text.n) {
		char c = take(&text);
		if (c < 32 || c > 126)
			return false;
	}
	return true;
}

void xtext_put(struct buf *to, struct span text)
{
	while (text.n)
		buf_put_char(to, take(&text));
}
