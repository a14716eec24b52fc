/*
 * Promises that there is one text for any octets, and that every other one is refused. Refuses to know what
 * the octets are for.
 */
#include "proto/base64.h"

#define QUANTUM_TEXT 4 /* characters that stand for */
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

/* 64: it is none. */
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

/* `n` letters of a quantum, and padding behind them: n - 1 octets. */
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
	/* what the octets do not use */
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
