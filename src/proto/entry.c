/* Promises that a line is one key and one value, or is refused; refuses to know what they mean. */
#include "proto/entry.h"
#include "proto/text.h"
#include "proto/utf8.h"

#define PIECE_MAX 8 /* octets that one of a word may become */

static const char *find_fault(struct span line, struct span key, struct span value)
{
	if (memchr(line.p, '\0', line.n))
		return "has a NUL in it";
	/* elsewhere such a line goes on with the one above */
	if (*line.p == ' ' || *line.p == '\t')
		return "begins with a blank";
	if (key.n > ENTRY_KEY_MAX)
		return "has a key of more than 1024 octets";
	if (value.n > ENTRY_VALUE_MAX)
		return "has a value of more than 4096 octets";
	return NULL;
}

/* What stands before the octet, or all. A table of text is read by every process: memchr is quick. */
static struct span before(struct span s, char octet)
{
	const char *at = memchr(s.p, octet, s.n);

	return at ? (struct span){ s.p, (size_t)(at - s.p) } : s;
}

enum entry_line entry_parse(struct span line, struct span *ret_key,
	struct span *ret_value, const char **ret_what)
{
	struct span text = span_trim(line), key, value;
	const char *what;

	if (text.n == 0 || *text.p == '#')
		return ENTRY_BLANK;
	key = before(before(text, ' '), '\t');
	value = span_trim(span_from(text, key.n));
	what = find_fault(line, key, value);
	if (what) {
		*ret_what = what;
		return ENTRY_WRONG;
	}
	*ret_key = key;
	*ret_value = value;
	return ENTRY_FINE;
}

void entry_show(struct buf *to, struct span word)
{
	size_t begin = to->n;

	while (word.n && to->n - begin < ENTRY_SHOWN_MAX - PIECE_MAX) {
		size_t n = utf8_non_ascii(word);
		if (n)
			buf_put(to, (struct span){ word.p, n });
		else
			text_escape(to, (struct span){ word.p, n = 1 }, PIECE_MAX);
		word = span_from(word, n);
	}
	if (word.n)
		buf_put(to, SPAN("..."));
}
