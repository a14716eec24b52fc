/* Promises that no address leads out of mail-root; refuses to touch the file system. */
#include "edge/recipients.h"
#include <limits.h>
#include "proto/utf8.h"

/* Octets of the character in front that a file name may have; 0: it may not. */
static size_t name_length(struct span s)
{
	char c = *s.p;

	return c >= 32 && c <= 126 && c != '/' ? 1 : utf8_non_ascii(s);
}

/* Appends the value as part of a file name. What is not ASCII is in lower case already. */
static bool put_component(struct buf *to, struct span value)
{
	if (value.n == 0 || value.n > NAME_MAX || value.p[0] == '.')
		return false;
	while (value.n) {
		size_t n = name_length(value);
		if (n == 0)
			return false;
		if (n == 1)
			buf_put_char(to, ascii_lower(*value.p));
		else
			buf_put(to, (struct span){ value.p, n });
		value = span_from(value, n);
	}
	return true;
}

static bool put_local(struct buf *to, struct span local)
{
	char octets[NAME_MAX + 1];
	struct buf plain = BUF(octets);

	local_unquote(local, &plain);
	return !plain.overflow && put_component(to, buf_span(&plain));
}

static bool put_part(
	struct buf *to, char what, const struct recipients *rs, const struct recipient *r)
{
	switch (what) {
	case 'u':
		return put_local(to, r->local);
	case 'd':
		return put_component(to, r->domain.n ? r->domain : span_of(rs->hostname));
	default:
		buf_put_char(to, what);
		return true;
	}
}

enum recipients_result recipients_path(
	const struct recipients *rs, const struct recipient *r, struct buf *ret_path)
{
	for (const char *t = rs->template; *t; t++) {
		if (*t != '%')
			buf_put_char(ret_path, *t);
		else if (!put_part(ret_path, *++t, rs, r))
			return RECIPIENTS_NAME;
	}
	return buf_terminate(ret_path) ? RECIPIENTS_FOUND : RECIPIENTS_NAME;
}
