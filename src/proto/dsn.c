/*
 * Promises that no value it accepts can end a line or a field of a report. Refuses to know whether there
 * will be one.
 */
#include "proto/dsn.h"
#include "proto/unitext.h"
#include "proto/xtext.h"

#define SOURCE_MARK ",N=" /* beside ",S=", the size, as Maildirs have it */

/* The next element of a list, without the comma behind it. */
static struct span take_element(struct span *list)
{
	const char *comma = memchr(list->p, ',', list->n);
	struct span element = { list->p, comma ? (size_t)(comma - list->p) : list->n };

	*list = span_from(*list, element.n + (comma != NULL));
	return element;
}

/*
 * notify-esmtp-value = "NEVER" / 1#notify-list-element
 * notify-list-element = "SUCCESS" / "FAILURE" / "DELAY"
 *
 * Elements may be repeated, and empty where another is not (RFC 822 2.7). Failures are told in replies, and
 * a message is never delayed: only SUCCESS changes anything.
 */
bool dsn_notify(struct span value, bool *ret_success)
{
	bool success = false, any = false;

	if (span_ieq(value, SPAN("NEVER"))) {
		*ret_success = false;
		return true;
	}
	while (value.n) {
		struct span element = take_element(&value);
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

/* original-recipient-address = addr-type ";" xtext    addr-type = atom    (RFC 6533 3: or unitext) */
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

/* No hostname has a comma in it: the mark stands once at most. */
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
