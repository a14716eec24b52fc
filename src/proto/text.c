/* Promises that no octet of the input can end a line, a field or a quoted string of the
 * output. */
#include "proto/text.h"

#define ESCAPED_OCTETS 4 /* \xHH */
#define DOTS 3

static bool is_plain(char c)
{
	return c >= 32 && c <= 126 && c != '"' && c != '\\';
}

/* How many of the first octets need no escape. */
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
