/* Promises that no address leads out of mail-root; refuses to touch the file system. */
#include "edge/recipients.h"
#include <limits.h>

/* Appends the value as part of a file name. */
static bool put_component(struct buf *to, struct span value)
{
	if (value.n == 0 || value.n > NAME_MAX || value.p[0] == '.')
		return false;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c == '/' || c < 32 || c > 126)
			return false;
		buf_put_char(to, ascii_lower(c));
	}
	return true;
}

static bool put_local(struct buf *to, struct span local)
{
	char octets[PATH_OCTETS_MAX];
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
