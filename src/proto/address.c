/* SPDX-License-Identifier: ISC */
/*
 * Parsers of the arguments of MAIL and RCPT. They accept printable ASCII and well-formed
 * UTF-8 (RFC 6531 3.3), without control characters of either. The rules of IDNA are not
 * checked here. Some deviations of real senders are accepted: blanks before the path,
 * blanks instead of the colon, a path without angle brackets, and dots where the standard
 * has none (address.h).
 */
#include "proto/address.h"
#include <arpa/inet.h>
#include "proto/text.h"

static bool is_alnum(char c)
{
	char l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

/* atext of RFC 5322 3.2.3 =/ UTF8-non-ascii: octets of the first character; 0: none */
static size_t atext_length(struct span s)
{
	char c = *s.p;

	if (is_alnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c)))
		return 1;
	return utf8_non_ascii(s);
}

static bool take_char(struct span *s, char c)
{
	if (s->n == 0 || *s->p != c)
		return false;
	*s = span_from(*s, 1);
	return true;
}

/* Octets of a label's character at the start; 0: none. */
static size_t label_length(struct span s)
{
	char c = *s.p;

	return is_alnum(c) || c == '-' || c == '_' ? 1 : utf8_non_ascii(s);
}

/*
 * sub-domain = Let-dig [Ldh-str] / U-label. An underscore is accepted, because names of
 * real hosts have it.
 */
static bool take_label(struct span *s)
{
	size_t i = 0, n;

	while (i < s->n && (n = label_length(span_from(*s, i))) > 0)
		i += n;
	if (i == 0 || s->p[0] == '-' || s->p[i - 1] == '-')
		return false;
	*s = span_from(*s, i);
	return true;
}

/*
 * Domain = sub-domain *("." sub-domain) a dot without a sub-domain behind it is not taken
 */
static bool take_name(struct span *s)
{
	struct span rest = *s;

	if (!take_label(&rest))
		return false;
	do
		*s = rest;
	while (take_char(&rest, '.') && take_label(&rest));
	return true;
}

static bool is_ip(int family, struct span s)
{
	unsigned char octets[16];
	char text[INET6_ADDRSTRLEN];

	if (s.n >= sizeof(text) || (s.n && memchr(s.p, '\0', s.n)))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(family, text, octets) == 1;
}

/* General-address-literal = Standardized-tag ":" 1*dcontent */
static bool is_tagged(struct span s)
{
	size_t i = 0;

	while (i < s.n && (is_alnum(s.p[i]) || s.p[i] == '-'))
		i++;
	if (i == 0 || s.p[i - 1] == '-' || i + 1 >= s.n || s.p[i] != ':')
		return false;
	for (i++; i < s.n; i++)
		if (s.p[i] < 33 || s.p[i] > 126 || strchr("[\\]", s.p[i]))
			return false;
	return true;
}

/* address-literal = "[" ( IPv4 / "IPv6:" IPv6 / General-address-literal ) "]" */
static bool take_literal(struct span *s)
{
	static const struct span ipv6 = { "IPv6:", 5 };
	const char *end = s->n > 1 && s->p[0] == '[' ? memchr(s->p, ']', s->n) : NULL;
	struct span in;
	bool ok;

	if (!end)
		return false;
	in = (struct span){ s->p + 1, (size_t)(end - s->p) - 1 };
	if (in.n > ipv6.n && span_ieq((struct span){ in.p, ipv6.n }, ipv6))
		ok = is_ip(AF_INET6, span_from(in, ipv6.n));
	else
		ok = is_ip(AF_INET, in) || is_tagged(in);
	*s = span_from(*s, in.n + 2);
	return ok;
}

static bool take_domain(struct span *s)
{
	return s->n && *s->p == '[' ? take_literal(s) : take_name(s);
}

bool domain_valid(struct span domain)
{
	return utf8_is_ascii(domain) && domain_valid_utf8(domain);
}

bool domain_valid_utf8(struct span domain)
{
	return domain.n <= DOMAIN_OCTETS_MAX && take_domain(&domain) && domain.n == 0;
}

/*
 * QcontentSMTP = %d32-33 / %d35-91 / %d93-126 / UTF8-non-ascii / "\" %d32-126: octets of
 * the character at the start; 0: none
 */
static size_t quoted_length(struct span s)
{
	bool is_pair = *s.p == '\\';

	s = span_from(s, is_pair);
	if (s.n && ascii_is_printable(*s.p))
		return is_pair ? 2 : 1;
	return is_pair ? 0 : utf8_non_ascii(s);
}

static bool is_quoted(struct span text)
{
	return text.n && *text.p == '"';
}

/* Quoted-string = DQUOTE *QcontentSMTP DQUOTE */
static bool take_quoted(struct span *s)
{
	size_t i = 1, n;

	while (i < s->n && s->p[i] != '"') {
		n = quoted_length(span_from(*s, i));
		if (n == 0)
			return false;
		i += n;
	}
	if (i == s->n)
		return false;
	*s = span_from(*s, i + 1);
	return true;
}

/* Dot-string = Atom *("." Atom); *ret_odd: a dot has no atom on one side */
static bool take_dot_string(struct span *s, bool *ret_odd)
{
	size_t i = 0, n = 1;
	bool after_dot = true, odd = false;

	for (; i < s->n; i += n) {
		bool is_dot = s->p[i] == '.';
		n = is_dot ? 1 : atext_length(span_from(*s, i));
		if (n == 0)
			break;
		odd |= is_dot && after_dot;
		after_dot = is_dot;
	}
	*s = span_from(*s, i);
	*ret_odd = odd || after_dot;
	return i > 0;
}

/* A-d-l = At-domain *( "," At-domain ) ":"     accepted and ignored */
static bool take_route(struct span *s)
{
	if (s->n == 0 || *s->p != '@')
		return true;
	do {
		if (!take_char(s, '@') || !take_name(s))
			return false;
	} while (take_char(s, ','));
	return take_char(s, ':');
}

static bool is_postmaster(struct span local)
{
	return span_ieq(local, SPAN("postmaster"));
}

/* Local-part = Dot-string / Quoted-string */
static bool take_local(struct span *s, enum path_kind kind, struct path *ret)
{
	const char *start = s->p;
	bool odd = false;

	if (!(is_quoted(*s) ? take_quoted(s) : take_dot_string(s, &odd)))
		return false;
	ret->local = (struct span){ start, (size_t)(s->p - start) };
	ret->lenient |= odd;
	return !odd || kind == PATH_REVERSE;
}

/* Domain / address-literal one dot after a name is taken, but is not part of it */
static bool take_path_domain(struct span *s, struct path *ret)
{
	ret->domain.p = s->p;
	if (!take_domain(s))
		return false;
	ret->domain.n = (size_t)(s->p - ret->domain.p);
	if (*ret->domain.p != '[' && take_char(s, '.'))
		ret->lenient = true;
	return ret->domain.n <= DOMAIN_OCTETS_MAX;
}

/* Mailbox = Local-part "@" ( Domain / address-literal ), or "postmaster" alone */
static bool take_mailbox(struct span *s, enum path_kind kind, struct path *ret)
{
	const char *start = s->p;

	if (!take_local(s, kind, ret))
		return false;
	if (take_char(s, '@')) {
		if (!take_path_domain(s, ret))
			return false;
	} else if (!is_postmaster(ret->local) && kind != PATH_FORWARD_LOCAL) {
		return false;
	}
	ret->text = (struct span){ start, (size_t)(s->p - start) };
	/* a reverse-path is only recorded, so it stays as it was sent */
	if (kind != PATH_REVERSE && ret->text.p[ret->text.n - 1] == '.')
		ret->text.n--;
	return true;
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">" / "<>" */
static bool take_path(struct span *s, enum path_kind kind, struct path *ret)
{
	bool bracket = take_char(s, '<');

	ret->lenient |= !bracket;
	if (bracket && take_char(s, '>')) {
		ret->null = true;
		return true;
	}
	return take_route(s) && take_mailbox(s, kind, ret) &&
	       (!bracket || take_char(s, '>'));
}

static bool take_blanks(struct span *s)
{
	size_t n = s->n;

	while (s->n && ascii_is_blank(*s->p))
		*s = span_from(*s, 1);
	return s->n < n;
}

/* keyword ":" with blanks beside or instead of the colon */
static bool take_keyword(struct span *s, struct span keyword, bool *ret_lenient)
{
	bool blanks, colon;

	if (s->n < keyword.n || !span_ieq((struct span){ s->p, keyword.n }, keyword))
		return false;
	*s = span_from(*s, keyword.n);
	blanks = take_blanks(s);
	colon = take_char(s, ':');
	*ret_lenient = take_blanks(s) || blanks || !colon;
	return blanks || colon;
}

bool path_parse(struct span *text, enum path_kind kind, struct path *ret)
{
	struct span s = *text;
	struct path path = { 0 };

	if (!take_path(&s, kind, &path) || (size_t)(s.p - text->p) > PATH_OCTETS_MAX)
		return false;
	path.utf8 = !utf8_is_ascii((struct span){ text->p, (size_t)(s.p - text->p) });
	*text = s;
	*ret = path;
	return true;
}

enum path_fault path_take(struct span *args, enum path_kind kind, struct path *ret)
{
	struct span s = *args;
	struct path path;
	bool lenient;

	if (!take_keyword(&s, kind == PATH_REVERSE ? SPAN("FROM") : SPAN("TO"), &lenient))
		return PATH_KEYWORD;
	if (!path_parse(&s, kind, &path) || (s.n && *s.p != ' ' && *s.p != '\t'))
		return PATH_SYNTAX;
	path.lenient |= lenient;
	*args = s;
	*ret = path;
	return PATH_FINE;
}

void local_unquote(struct span local, struct buf *to)
{
	if (local.n < 2 || local.p[0] != '"') {
		buf_put(to, local);
		return;
	}
	for (size_t i = 1; i + 1 < local.n; i++) {
		if (local.p[i] == '\\')
			i++;
		buf_put_char(to, local.p[i]);
	}
}

/*
 * Takes the local part from the front of a mailbox; "@" and the domain are left, which
 * may be a literal with another "@".
 */
static struct span split_local(struct span *mailbox)
{
	struct span whole = *mailbox;

	if (is_quoted(*mailbox))
		take_quoted(mailbox);
	while (mailbox->n && *mailbox->p != '@')
		*mailbox = span_from(*mailbox, 1);
	return (struct span){ whole.p, whole.n - mailbox->n };
}

/* False: it is no quoted local part, or too long for one. */
static bool unquote_whole(struct span local, struct buf *to)
{
	if (!is_quoted(local) || local.n < 2 || !span_ends(local, SPAN("\"")))
		return false;
	local_unquote(local, to);
	return !to->overflow;
}

bool address_is_same(struct span a, struct span b)
{
	char plain_a[PATH_OCTETS_MAX], plain_b[PATH_OCTETS_MAX];
	struct buf of_a = BUF(plain_a), of_b = BUF(plain_b);
	struct span local_a, local_b;

	if (!is_quoted(a) && !is_quoted(b))
		return span_ieq(a, b);
	local_a = split_local(&a);
	local_b = split_local(&b);
	if (unquote_whole(local_a, &of_a))
		local_a = buf_span(&of_a);
	if (unquote_whole(local_b, &of_b))
		local_b = buf_span(&of_b);
	return span_ieq(local_a, local_b) && span_ieq(a, b);
}

void local_quote(struct span octets, struct buf *to)
{
	buf_put_char(to, '"');
	for (size_t i = 0; i < octets.n; i++) {
		if (octets.p[i] == '"' || octets.p[i] == '\\')
			buf_put_char(to, '\\');
		buf_put_char(to, octets.p[i]);
	}
	buf_put_char(to, '"');
}

void local_put(struct span octets, struct buf *to)
{
	struct span rest = octets;
	bool odd = false;

	if (take_dot_string(&rest, &odd) && rest.n == 0 && !odd)
		buf_put(to, octets);
	else
		local_quote(octets, to);
}

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

	while (s.n && ascii_is_blank(*s.p))
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

bool senders_have(struct span list, struct span address)
{
	struct span rest = span_trim(list), word;

	if (address.n == 0)
		return true;
	while ((word = span_take_word(&rest)).n) {
		bool is_domain = *word.p == '@' && address.n > word.n;
		struct span part =
			is_domain ? span_from(address, address.n - word.n) : address;
		if (span_eq(word, SPAN("*")) || span_ieq(word, part))
			return true;
	}
	return false;
}

bool local_is_dot_string(struct span octets)
{
	bool odd;

	return octets.n && *octets.p != '"' && take_dot_string(&octets, &odd) && !odd &&
	       octets.n == 0;
}

/*
 * A pattern is compared with the address of MAIL, so it must be a valid address itself.
 */
static bool is_pattern(struct span word)
{
	const char *at = memrchr(word.p, '@', word.n);
	struct path unused = { 0 };

	if (span_eq(word, SPAN("*")))
		return true;
	if (!at || !domain_valid_utf8(span_from(word, (size_t)(at - word.p) + 1)))
		return false;
	return at == word.p ||
	       (take_mailbox(&word, PATH_REVERSE, &unused) && word.n == 0);
}

struct span senders_wrong(struct span list)
{
	struct span rest = span_trim(list), word;

	while ((word = span_take_word(&rest)).n)
		if (!is_pattern(word))
			break;
	return word;
}
