/* SPDX-License-Identifier: ISC */
/*
 * The parameters of delivery reports, and the header that a report returns. No accepted
 * value can end a line or a field of a report. The returned header ends at the first line
 * that is not a field, so that it has no content of the message.
 */
#include "proto/dsn.h"
#include "proto/text.h"

#define SOURCE_MARK ",N=" /* like ",S=", by which Maildirs give the size */

/*
 * notify-esmtp-value = "NEVER" / 1#notify-list-element
 * notify-list-element = "SUCCESS" / "FAILURE" / "DELAY"
 *
 * Elements may be repeated, and all but one may be empty (RFC 822 2.7). Only SUCCESS has
 * an effect, because failures are reported by replies and messages are never delayed.
 */
bool dsn_notify(struct span value, bool *ret_success)
{
	bool success = false, any = false;

	if (span_ieq(value, SPAN("NEVER"))) {
		*ret_success = false;
		return true;
	}
	while (value.n) {
		struct span element = span_take(&value, ',');
		bool is_success = span_ieq(element, SPAN("SUCCESS"));

		if (!is_success && element.n && !span_ieq(element, SPAN("FAILURE")) &&
			!span_ieq(element, SPAN("DELAY")))
			return false;
		success |= is_success;
		any |= element.n > 0;
	}
	if (any)
		*ret_success = success;
	return any;
}

/* RFC 3461 4.3 */
bool dsn_is_ret(struct span value)
{
	return span_ieq(value, SPAN("FULL")) || span_ieq(value, SPAN("HDRS"));
}

/* envid-parameter = "ENVID=" xtext */
bool dsn_is_envid(struct span value)
{
	return value.n > 0 && value.n <= DSN_ENVID_MAX && xtext_valid(value);
}

/* Cuts a value of ORCPT at its first ";". False: there is none. */
static bool split(struct span value, struct span *ret_type, struct span *ret_address)
{
	const char *semicolon = value.n ? memchr(value.p, ';', value.n) : NULL;

	if (!semicolon)
		return false;
	*ret_type = (struct span){ value.p, (size_t)(semicolon - value.p) };
	*ret_address = span_from(value, ret_type->n + 1);
	return true;
}

/* atom = 1*<any CHAR except specials, SPACE and CTLs> (RFC 822 3.3) */
static bool is_atom(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 33 || s.p[i] > 126 || strchr("()<>@,;:\\\".[]", s.p[i]))
			return false;
	return s.n > 0;
}

static bool is_utf8_type(struct span type)
{
	return span_ieq(type, SPAN("utf-8"));
}

/*
 * original-recipient-address = addr-type ";" ( xtext / unitext )     (RFC 6533 3)
 * addr-type = atom
 */
bool dsn_is_orcpt(struct span value, bool utf8)
{
	struct span type, address;

	if (value.n > DSN_ORCPT_MAX || !split(value, &type, &address) || !is_atom(type))
		return false;
	return is_utf8_type(type) ? unitext_valid(address, utf8) : xtext_valid(address);
}

void dsn_put_orcpt(struct buf *to, struct span value, bool utf8)
{
	struct span type = { 0 }, address = { 0 };

	split(value, &type, &address);
	buf_put(to, type);
	buf_put(to, SPAN("; "));
	if (!is_utf8_type(type))
		xtext_put(to, address);
	else if (utf8)
		unitext_put(to, address);
	else
		buf_put(to, address);
}

void dsn_put_source(struct buf *to, const struct ip *ip)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = (ip->n == IPV4_OCTETS ? DSN_SOURCE_IPV4 : DSN_SOURCE_IPV6) / 8;

	if (ip->n == 0)
		return;
	buf_put(to, SPAN(SOURCE_MARK));
	for (size_t i = 0; i < n; i++) {
		buf_put_char(to, digits[ip->octets[i] >> 4]);
		buf_put_char(to, digits[ip->octets[i] & 15]);
	}
}

/* The mark occurs at most once, because a host name has no comma. */
struct span dsn_source(struct span name)
{
	const char *mark = memmem(name.p, name.n, SOURCE_MARK, sizeof(SOURCE_MARK) - 1);
	struct span digits;
	size_t n = 0;

	if (!mark)
		return SPAN("");
	digits = span_from(name, (size_t)(mark - name.p) + sizeof(SOURCE_MARK) - 1);
	while (n < digits.n && strchr("0123456789abcdef", digits.p[n]) && digits.p[n])
		n++;
	digits.n = n;
	return digits;
}

#define LINE_MAX_8BIT 998 /* octets of a line without its end (RFC 2045 2.8) */
#define QUOTED_LINE_MAX 75 /* octets without the "=" at its end (RFC 2045 6.7) */

static bool is_line_start(const struct returned *r)
{
	return r->text.n == 0 || r->text.p[r->text.n - 1] == '\n';
}

static void take_octet(struct returned *r, char c)
{
	/* BINARYMIME keeps its CRLF */
	if (c == '\n' && !is_line_start(r) && r->text.p[r->text.n - 1] == '\r')
		r->text.n--;
	if ((c == '\n' && is_line_start(r)) || buf_room(&r->text) == 0)
		r->done = true;
	else
		buf_put_char(&r->text, c);
}

void returned_take(struct returned *r, struct span text)
{
	for (size_t i = 0; i < text.n && !r->done; i++)
		take_octet(r, text.p[i]);
}

/* field = field-name *WSP ":" unstructured CRLF (RFC 5322 2.2, 4.5) */
static bool is_field(struct span line)
{
	size_t n = text_field_name(line);
	struct span rest = span_trim(span_from(line, n));

	return n > 0 && rest.n && *rest.p == ':';
}

/* A line that begins with a blank continues the field before it (RFC 5322 2.2.3). */
static bool is_continuation(struct span line, size_t at)
{
	return at > 0 && line.n && ascii_is_blank(*line.p);
}

/* Returns the length of the whole lines at the start that are fields. */
static size_t fields_length(struct span text)
{
	const char *lf;
	size_t at = 0;

	while (at < text.n && (lf = memchr(text.p + at, '\n', text.n - at))) {
		struct span line = { text.p + at, (size_t)(lf - text.p) - at };
		if (!is_field(line) && !is_continuation(line, at))
			break;
		at += line.n + 1;
	}
	return at;
}

/* True when all of it is allowed in mail without encoding, except octets above 127. */
static bool is_plain(struct span text)
{
	size_t n_line = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if ((c < 32 && c != '\t' && c != '\n') || c == 127)
			return false;
		n_line = c == '\n' ? 0 : n_line + 1;
		if (n_line > LINE_MAX_8BIT)
			return false;
	}
	return true;
}

/* A boundary with "=_" in it is never in quoted-printable text (RFC 2045 6.7). */
static enum returned_encoding choose(struct span text, struct span boundary, bool utf8)
{
	if (!is_plain(text) || (text.n && memmem(text.p, text.n, boundary.p, boundary.n)))
		return RETURNED_QUOTED;
	if (utf8_is_ascii(text))
		return RETURNED_7BIT;
	return utf8 && utf8_valid(text) ? RETURNED_8BIT : RETURNED_QUOTED;
}

void returned_seal(struct returned *r, struct span boundary, bool utf8)
{
	/* a message that ends in the middle of its header */
	returned_take(r, SPAN("\n"));
	r->text.n = fields_length(buf_span(&r->text));
	r->encoding = choose(buf_span(&r->text), boundary, utf8);
	returned_rewind(r);
}

void returned_rewind(struct returned *r)
{
	r->at = r->n_line = 0;
}

/* False for a blank at the end of a line, because relays may remove it. */
static bool is_quoted_as_is(struct span rest)
{
	char c = *rest.p;

	if (ascii_is_blank(c))
		return rest.n > 1 && rest.p[1] != '\n';
	return c > 32 && c < 127 && c != '=';
}

static void put_hex(struct buf *to, char c)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char octet = (unsigned char)c;

	buf_put_char(to, '=');
	buf_put_char(to, hex[octet >> 4]);
	buf_put_char(to, hex[octet & 15]);
}

static void put_quoted(struct returned *r, struct buf *to, struct span rest)
{
	bool as_is = is_quoted_as_is(rest);
	size_t n = as_is ? 1 : 3;

	if (*rest.p == '\n') {
		buf_put_char(to, '\n');
		r->n_line = 0;
		return;
	}
	if (r->n_line + n > QUOTED_LINE_MAX) {
		buf_put(to, SPAN("=\n"));
		r->n_line = 0;
	}
	r->n_line += n;
	if (as_is)
		buf_put_char(to, *rest.p);
	else
		put_hex(to, *rest.p);
}

bool returned_put(struct returned *r, struct buf *to)
{
	struct span rest = span_from(buf_span(&r->text), r->at);

	if (r->encoding != RETURNED_QUOTED && rest.n) {
		size_t n = rest.n < buf_room(to) ? rest.n : buf_room(to);
		buf_put(to, (struct span){ rest.p, n });
		r->at += n;
		return n == rest.n;
	}
	for (; rest.n && buf_room(to) >= RETURNED_ROOM; rest = span_from(rest, 1)) {
		put_quoted(r, to, rest);
		r->at++;
	}
	return rest.n == 0;
}
