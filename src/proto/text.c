/* Promises that no octet of the input can end a line, a field or a quoted string of the
 * output. */
#include "proto/text.h"

#define ESCAPED_OCTETS 4 /* \xHH */

static bool is_plain(char c)
{
	return c >= 32 && c <= 126 && c != '"' && c != '\\';
}

void text_escape(struct buf *to, struct span text, size_t max)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t used = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		size_t need = is_plain(text.p[i]) ? 1 : ESCAPED_OCTETS;
		/* room for the dots is kept until the last octet is known to fit */
		size_t rest = i + 1 < text.n ? 3 : 0;

		if (used + need + rest > max) {
			buf_put(to, SPAN("..."));
			return;
		}
		if (need == 1) {
			buf_put_char(to, text.p[i]);
		} else {
			char escaped[ESCAPED_OCTETS] = { '\\', 'x', hex[c >> 4],
				hex[c & 15] };
			buf_put(to, (struct span){ escaped, sizeof(escaped) });
		}
		used += need;
	}
}

bool text_is_graphic(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 33 || text.p[i] > 126)
			return false;
	return true;
}
