/* SPDX-License-Identifier: ISC */
/*
 * Parses PROXY headers of versions 1 and 2. A header is refused at its first wrong octet,
 * and no octet behind the header is read. Only the addresses are used: TLVs (server name,
 * client certificate) are skipped and grant nothing. Fields of version 1 are checked as
 * soon as the blank behind them has arrived.
 */
#include "proto/proxy.h"
#include "base/num.h"

#define PORT_DIGITS_MAX 5

/* Takes a known text from the front, or the part of it that has arrived. */
static enum proxy_step take_text(struct span *s, struct span text)
{
	size_t n = s->n < text.n ? s->n : text.n;

	if (n && memcmp(s->p, text.p, n) != 0)
		return PROXY_MALFORMED;
	*s = span_from(*s, n);
	return n < text.n ? PROXY_MORE : PROXY_DONE;
}

/* Takes a field of at most `max` octets out of `octets`, and the delimiter behind it. */
static enum proxy_step take_field(
	struct span *s, const char *octets, size_t max, char delimiter, struct span *ret)
{
	size_t i = 0;

	while (i < s->n && s->p[i] != delimiter) {
		if (i == max || s->p[i] == '\0' || !strchr(octets, s->p[i]))
			return PROXY_MALFORMED;
		i++;
	}
	if (i == s->n)
		return PROXY_MORE;
	*ret = (struct span){ s->p, i };
	*s = span_from(*s, i + 1);
	return PROXY_DONE;
}

#define IPV4_TEXT "0123456789."
#define IPV6_TEXT "0123456789abcdefABCDEF:."

/*
 * Takes an address; *ret_ipv6: it is written as IPv6, which is also true for mapped IPv4.
 */
static enum proxy_step take_ip(
	struct span *s, const char *octets, struct ip *ret, bool *ret_ipv6)
{
	struct span text;
	enum proxy_step step = take_field(s, octets, IP_TEXT_MAX - 1, ' ', &text);

	if (step != PROXY_DONE)
		return step;
	*ret_ipv6 = memchr(text.p, ':', text.n);
	return ip_parse(text, ret) ? PROXY_DONE : PROXY_MALFORMED;
}

static enum proxy_step take_client(struct span *s, bool ipv6, struct ip *ret)
{
	bool is_ipv6;
	enum proxy_step step = take_ip(s, ipv6 ? IPV6_TEXT : IPV4_TEXT, ret, &is_ipv6);

	return step == PROXY_DONE && is_ipv6 != ipv6 ? PROXY_MALFORMED : step;
}

/*
 * The destination address is not used, so it may be of the other family: nginx writes the
 * address on which it accepted the connection, whatever the family of the client is.
 */
static enum proxy_step skip_ours(struct span *s)
{
	struct ip ours;
	bool is_ipv6;

	return take_ip(s, IPV6_TEXT, &ours, &is_ipv6);
}

/* port = "0" / ( %x31-39 *4DIGIT ), at most 65535 */
static enum proxy_step take_port(struct span *s, char delimiter, uint16_t *ret)
{
	struct span text;
	uint64_t port;
	enum proxy_step step =
		take_field(s, "0123456789", PORT_DIGITS_MAX, delimiter, &text);

	if (step != PROXY_DONE)
		return step;
	if (!num_parse(text, &port) || port > UINT16_MAX ||
		(text.n > 1 && *text.p == '0'))
		return PROXY_MALFORMED;
	*ret = (uint16_t)port;
	return PROXY_DONE;
}

/* tcp = ip SP ip SP port SP port CRLF: source and destination in turn */
static enum proxy_step take_tcp(struct span *s, bool ipv6, struct proxy_header *header)
{
	uint16_t our_port;
	enum proxy_step step = take_client(s, ipv6, &header->client);

	if (step == PROXY_DONE)
		step = skip_ours(s);
	if (step == PROXY_DONE)
		step = take_port(s, ' ', &header->port);
	if (step == PROXY_DONE)
		step = take_port(s, '\r', &our_port);
	if (step == PROXY_DONE)
		step = take_text(s, SPAN("\n"));
	return step;
}

static enum proxy_step take_tcp4(struct span *s, struct proxy_header *header)
{
	return take_tcp(s, false, header);
}

static enum proxy_step take_tcp6(struct span *s, struct proxy_header *header)
{
	return take_tcp(s, true, header);
}

/* unknown = [ SP *( any octet but CR and LF ) ] CRLF */
static enum proxy_step take_unknown(struct span *s, struct proxy_header *header)
{
	(void)header;
	if (s->n && *s->p != ' ' && *s->p != '\r')
		return PROXY_MALFORMED;
	while (s->n && *s->p != '\r' && *s->p != '\n')
		*s = span_from(*s, 1);
	return take_text(s, SPAN("\r\n"));
}

static const struct {
	struct span word;
	enum proxy_step (*take)(struct span *s, struct proxy_header *header);
} families[] = {
	{ { "TCP4 ", 5 }, take_tcp4 },
	{ { "TCP6 ", 5 }, take_tcp6 },
	{ { "UNKNOWN", 7 }, take_unknown },
};

static enum proxy_step take_family(struct span *s, struct proxy_header *header)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		struct span rest = *s;
		enum proxy_step step = take_text(&rest, families[i].word);
		if (step == PROXY_MALFORMED)
			continue;
		*s = rest;
		return step == PROXY_DONE ? families[i].take(s, header) : step;
	}
	return PROXY_MALFORMED;
}

/* line = "PROXY" SP ( "TCP4" SP tcp / "TCP6" SP tcp / "UNKNOWN" unknown )     (2.1) */
static enum proxy_step take_line(struct span *s, struct proxy_header *header)
{
	enum proxy_step step = take_text(s, SPAN("PROXY "));

	return step == PROXY_DONE ? take_family(s, header) : step;
}

static enum proxy_step parse_line(struct span in, struct proxy_header *ret)
{
	struct proxy_header header = { 0 };
	struct span rest = in;
	enum proxy_step step;

	if (rest.n > PROXY_LINE_MAX)
		rest.n = PROXY_LINE_MAX;
	step = take_line(&rest, &header);
	if (step == PROXY_MORE && in.n >= PROXY_LINE_MAX)
		return PROXY_MALFORMED;
	if (step == PROXY_DONE) {
		header.n = (size_t)(rest.p - in.p);
		*ret = header;
	}
	return step;
}

/* The octets of version 2 before the addresses (2.2). */
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define COMMAND_AT 12 /* version and command */
#define FAMILY_AT 13 /* address family and protocol */
#define LENGTH_AT 14
#define ADDRESSES_AT 16

enum {
	COMMAND_LOCAL = 0x20, /* version 2 */
	COMMAND_PROXY = 0x21,
	FAMILY_INET = 1,
	FAMILY_INET6 = 2,
	PROTOCOL_STREAM = 1,
};

/* Octets of both addresses and ports; by family: UNSPEC, INET, INET6, UNIX. */
static const size_t addresses[] = { 0, 12, 36, 216 };
#define N_FAMILIES (sizeof(addresses) / sizeof(*addresses))
#define N_PROTOCOLS 3 /* UNSPEC, STREAM, DGRAM */

static unsigned number_at(struct span s, size_t at)
{
	return (unsigned)(unsigned char)s.p[at] << 8 | (unsigned char)s.p[at + 1];
}

/* Source and destination in turn, then the ports. */
static void read_addresses(struct span s, size_t n_ip, struct proxy_header *ret)
{
	ret->client = ip_of((const unsigned char *)s.p, n_ip);
	ret->port = (uint16_t)number_at(s, 2 * n_ip);
}

/* Checks the octets before the addresses, as far as they have arrived. */
static enum proxy_step check_prefix(struct span in)
{
	unsigned char command = in.n > COMMAND_AT ? (unsigned char)in.p[COMMAND_AT] : 0;
	unsigned char family = in.n > FAMILY_AT ? (unsigned char)in.p[FAMILY_AT] : 0;
	struct span rest = in;
	size_t length;

	if (take_text(&rest, SPAN(SIGNATURE)) == PROXY_MALFORMED)
		return PROXY_MALFORMED;
	if (in.n > COMMAND_AT && command != COMMAND_LOCAL && command != COMMAND_PROXY)
		return PROXY_MALFORMED;
	/* the family of LOCAL has no meaning */
	if (command != COMMAND_PROXY)
		family = 0;
	if ((family >> 4) >= N_FAMILIES || (family & 15) >= N_PROTOCOLS)
		return PROXY_MALFORMED;
	if (in.n < ADDRESSES_AT)
		return PROXY_MORE;
	length = number_at(in, LENGTH_AT);
	if (length < addresses[family >> 4] || length > PROXY_HEADER_MAX - ADDRESSES_AT)
		return PROXY_MALFORMED;
	return in.n < ADDRESSES_AT + length ? PROXY_MORE : PROXY_DONE;
}

static enum proxy_step parse_binary(struct span in, struct proxy_header *ret)
{
	struct proxy_header header = { 0 };
	enum proxy_step step = check_prefix(in);
	unsigned family;

	if (step != PROXY_DONE)
		return step;
	family = (unsigned char)in.p[FAMILY_AT];
	header.n = ADDRESSES_AT + number_at(in, LENGTH_AT);
	if ((unsigned char)in.p[COMMAND_AT] != COMMAND_PROXY)
		family = 0;
	/* other valid combinations are treated as UNSPEC (2.2) */
	if (family == (FAMILY_INET << 4 | PROTOCOL_STREAM))
		read_addresses(span_from(in, ADDRESSES_AT), IPV4_OCTETS, &header);
	else if (family == (FAMILY_INET6 << 4 | PROTOCOL_STREAM))
		read_addresses(span_from(in, ADDRESSES_AT), IPV6_OCTETS, &header);
	*ret = header;
	return PROXY_DONE;
}

enum proxy_step proxy_parse(struct span in, struct proxy_header *ret)
{
	if (in.n == 0)
		return PROXY_MORE;
	return *in.p == 'P' ? parse_line(in, ret) : parse_binary(in, ret);
}
