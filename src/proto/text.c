/* SPDX-License-Identifier: ISC */
/*
 * Encodings of text: the escapes of replies, records and header fields, UTF-8, xtext,
 * unitext and base64. UTF-8, code points of unitext, and base64 are accepted in their
 * only valid spelling. Decoded xtext and unitext have no control characters, neither
 * those of ASCII nor U+0080 to U+009F. The ABNF allows some of these, but no mailbox here
 * has them, and they would do harm in a report.
 */
#include "proto/text.h"

#define ESCAPED_OCTETS 4 /* \xHH */
#define DOTS 3

static bool is_plain(char c)
{
	return ascii_is_printable(c) && c != '"' && c != '\\';
}

/* Returns the number of octets at the start that need no escape. */
static size_t plain_length(struct span text, bool is_path)
{
	size_t n = 0;

	while (n < text.n && is_plain(text.p[n]) &&
		!(is_path && (text.p[n] == '<' || text.p[n] == '>')))
		n++;
	return n;
}

static void put_escaped(struct buf *to, char c)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char octet = (unsigned char)c;
	char escaped[ESCAPED_OCTETS] = { '\\', 'x', hex[octet >> 4], hex[octet & 15] };

	buf_put(to, (struct span){ escaped, sizeof(escaped) });
}

static void escape(struct buf *to, struct span text, size_t max, bool is_path)
{
	size_t left = max;

	while (text.n) {
		size_t plain = plain_length(text, is_path);
		size_t need = plain ? plain : ESCAPED_OCTETS;
		size_t used = plain ? plain : 1;
		/* room for the dots is kept until the last octet is known to fit */
		size_t room = used == text.n ? left : left - DOTS;

		if (need > room) {
			buf_put(to, (struct span){ text.p,
					    plain < left - DOTS ? plain : left - DOTS });
			buf_put(to, SPAN("..."));
			return;
		}
		if (plain)
			buf_put(to, (struct span){ text.p, plain });
		else
			put_escaped(to, *text.p);
		left -= need;
		text = span_from(text, used);
	}
}

void text_escape(struct buf *to, struct span text, size_t max)
{
	escape(to, text, max, false);
}

void text_escape_path(struct buf *to, struct span mailbox, size_t max)
{
	escape(to, mailbox, max, true);
}

/* The range of the second octet for each first octet. Further octets are %x80-BF. */
struct lead {
	unsigned char first, last; /* first octets */
	unsigned char n; /* length of the character */
	unsigned char low, high; /* second octets */
};

/*
 * UTF8-2 = %xC2-DF UTF8-tail
 * UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) /
 *          %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 * UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) /
 *          %xF4 %x80-8F 2( UTF8-tail )
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

bool text_is_printable(struct span s)
{
	while (s.n && ascii_is_printable(*s.p))
		s = span_from(s, 1);
	return s.n == 0;
}

size_t text_field_name(struct span line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] > 32 && line.p[n] < 127 && line.p[n] != ':')
		n++;
	return n;
}

size_t utf8_non_ascii(struct span s)
{
	size_t n = utf8_length(s);
	bool is_control = n == 2 && octet(s, 0) == 0xC2 && octet(s, 1) < 0xA0;

	return n < 2 || is_control ? 0 : n;
}

#define HEXCHAR_OCTETS 3

/* Returns the value of a digit in upper case; 16: it is none. */
static unsigned hexchar_digit(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (unsigned)(at - digits) : 16;
}

/*
 * xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
 * hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits 0: `s`
 * begins with neither.
 */
static char take_xchar(struct span *s)
{
	unsigned high, low;
	char c = *s->p;

	if (c != '+') {
		*s = span_from(*s, 1);
		return c > 32 && c < 127 && c != '=' ? c : '\0';
	}
	if (s->n < HEXCHAR_OCTETS)
		return '\0';
	high = hexchar_digit(s->p[1]);
	low = hexchar_digit(s->p[2]);
	*s = span_from(*s, HEXCHAR_OCTETS);
	return high < 16 && low < 16 ? (char)(high << 4 | low) : '\0';
}

bool xtext_valid(struct span text)
{
	while (text.n) {
		char c = take_xchar(&text);
		if (!ascii_is_printable(c))
			return false;
	}
	return true;
}

void xtext_put(struct buf *to, struct span text)
{
	while (text.n)
		buf_put_char(to, take_xchar(&text));
}

#define HEXPOINT_MIN 2
#define HEXPOINT_MAX 6
#define GRAPHIC_FIRST 0xa0 /* above ASCII */
#define LARGEST 0x10ffff

static int hexpoint_digit(char c)
{
	char l = ascii_lower(c);

	if (c >= '0' && c <= '9')
		return c - '0';
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* True when the code point has no leading zeros beyond two digits. */
static bool is_hexpoint(uint32_t point, size_t n_digits)
{
	if (point < GRAPHIC_FIRST)
		return n_digits == HEXPOINT_MIN && point && strchr(" +=\\", (int)point);
	if (point > LARGEST || (point >= 0xd800 && point <= 0xdfff))
		return false;
	return n_digits == HEXPOINT_MIN || point >> 4 * (n_digits - 1) != 0;
}

/* EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"      digits in any case */
static bool take_embedded(struct span *s, uint32_t *ret)
{
	static const struct span start = { "\\x{", 3 };
	uint32_t point = 0;
	size_t i = start.n;

	if (s->n < start.n || !span_eq((struct span){ s->p, start.n }, start))
		return false;
	for (; i < s->n && i < start.n + HEXPOINT_MAX && hexpoint_digit(s->p[i]) >= 0;
		i++)
		point = point << 4 | (uint32_t)hexpoint_digit(s->p[i]);
	if (i == s->n || s->p[i] != '}' || !is_hexpoint(point, i - start.n))
		return false;
	*s = span_from(*s, i + 1);
	*ret = point;
	return true;
}

/*
 * QUCHAR = QCHAR / UTF8-2 / UTF8-3 / UTF8-4
 * QCHAR  = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e
 */
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

static char utf8_tail(uint32_t point, unsigned shift)
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
		buf_put_char(to, utf8_tail(point, 6));
	} else {
		buf_put_char(to, (char)(0xf0 | point >> 18));
		buf_put_char(to, utf8_tail(point, 12));
		buf_put_char(to, utf8_tail(point, 6));
	}
	buf_put_char(to, utf8_tail(point, 0));
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

#define QUANTUM_TEXT 4 /* characters, which encode 3 octets */
#define QUANTUM_OCTETS 3
#define PAD '='

static char letter(unsigned value)
{
	if (value < 26)
		return (char)('A' + value);
	if (value < 52)
		return (char)('a' + value - 26);
	if (value < 62)
		return (char)('0' + value - 52);
	return value == 62 ? '+' : '/';
}

/* Returns the value of a character; 64: it is not in the alphabet. */
static unsigned value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : 64;
}

void base64_put(struct buf *to, struct span octets)
{
	while (octets.n) {
		size_t n = octets.n < QUANTUM_OCTETS ? octets.n : QUANTUM_OCTETS;
		char text[QUANTUM_TEXT];
		unsigned bits = 0;

		for (size_t i = 0; i < QUANTUM_OCTETS; i++)
			bits = bits << 8 | (i < n ? (unsigned char)octets.p[i] : 0);
		for (size_t i = 0; i < QUANTUM_TEXT; i++)
			text[i] = i <= n ? letter(bits >> (18 - 6 * i) & 63) : PAD;
		buf_put(to, (struct span){ text, sizeof(text) });
		octets = span_from(octets, n);
	}
}

/* Takes the `n` letters of a quantum and the padding after them: n - 1 octets. */
static bool take_quantum(const char *text, size_t n, struct buf *ret)
{
	unsigned bits = 0;

	for (size_t i = 0; i < QUANTUM_TEXT; i++) {
		unsigned value = i < n ? value_of(text[i]) : 0;
		if (value > 63)
			return false;
		bits = bits << 6 | value;
	}
	for (size_t i = 0; i < n - 1; i++)
		buf_put_char(ret, (char)(bits >> (16 - 8 * i)));
	/* the bits that belong to no octet */
	return n == QUANTUM_TEXT || (bits & ((1U << (8 * (QUANTUM_TEXT - n))) - 1)) == 0;
}

bool base64_take(struct span text, struct buf *ret)
{
	size_t n_pad = 0;

	if (text.n % QUANTUM_TEXT)
		return false;
	while (n_pad < 2 && n_pad < text.n && text.p[text.n - 1 - n_pad] == PAD)
		n_pad++;
	while (text.n) {
		size_t n = QUANTUM_TEXT - (text.n == QUANTUM_TEXT ? n_pad : 0);
		if (!take_quantum(text.p, n, ret))
			return false;
		text = span_from(text, QUANTUM_TEXT);
	}
	return !ret->overflow;
}
