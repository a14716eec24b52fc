/* Promises the syntax of a parameter; refuses to know its meaning. */
#include "proto/param.h"
#include "proto/utf8.h"

static bool is_keyword_char(char c, bool first)
{
	char l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || (c == '-' && !first);
}

/* esmtp-value = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)     the last by RFC 6531 3.3 */
static bool is_value(struct span s)
{
	size_t i = 0, n;

	while (i < s.n) {
		bool is_plain = s.p[i] >= 33 && s.p[i] <= 126 && s.p[i] != '=';
		n = is_plain ? 1 : utf8_non_ascii(span_from(s, i));
		if (n == 0)
			return false;
		i += n;
	}
	return s.n > 0;
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value] */
enum param_step param_take(struct span *args, struct param *ret)
{
	struct param param = { 0 };
	struct span s = *args;
	size_t i = 0, n = 0;

	while (s.n && (*s.p == ' ' || *s.p == '\t'))
		s = span_from(s, 1);
	if (s.n == 0)
		return PARAM_END;
	while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t')
		n++;
	*args = span_from(s, n);
	while (i < n && is_keyword_char(s.p[i], i == 0))
		i++;
	param.keyword = (struct span){ s.p, i };
	param.has_value = i < n && s.p[i] == '=';
	if (param.has_value)
		param.value = (struct span){ s.p + i + 1, n - i - 1 };
	if (i == 0 || (i < n && !(param.has_value && is_value(param.value)))) {
		ret->keyword = (struct span){ s.p, n };
		return PARAM_SYNTAX;
	}
	param.utf8 = !utf8_is_ascii(param.value);
	*ret = param;
	return PARAM_ONE;
}
