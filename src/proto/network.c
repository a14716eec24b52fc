/* SPDX-License-Identifier: ISC */
/*
 * Parses and compares addresses and networks. An address has one value, however it was
 * written, also as IPv4 mapped into IPv6. A network with bits set after its prefix is
 * refused, because it is a mistake. Names and zones are not accepted.
 */
#include "proto/network.h"
#include <arpa/inet.h>
#include "base/num.h"

#define MAPPED_OCTETS 12 /* in front of the IPv4 address */
#define OCTET_BITS 8

_Static_assert(IP_TEXT_MAX == INET6_ADDRSTRLEN, "room for inet_ntop()");

struct ip ip_of(const unsigned char *octets, size_t n)
{
	static const unsigned char mapped[MAPPED_OCTETS] = { [10] = 0xff, [11] = 0xff };
	struct ip ip = { .n = n };

	if (n == IPV6_OCTETS && memcmp(octets, mapped, MAPPED_OCTETS) == 0) {
		octets += MAPPED_OCTETS;
		ip.n = IPV4_OCTETS;
	}
	memcpy(ip.octets, octets, ip.n);
	return ip;
}

/*
 * Parses an address as written; a mapped one is not changed to IPv4. Returns the number
 * of octets; 0: not an address.
 */
static size_t read_octets(struct span text, unsigned char *ret)
{
	char copy[IP_TEXT_MAX];

	if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n))
		return 0;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, ret) == 1)
		return IPV4_OCTETS;
	return inet_pton(AF_INET6, copy, ret) == 1 ? IPV6_OCTETS : 0;
}

bool ip_parse(struct span text, struct ip *ret)
{
	unsigned char octets[IPV6_OCTETS];
	size_t n = read_octets(text, octets);

	if (n)
		*ret = ip_of(octets, n);
	return n > 0;
}

static void put_ipv4(struct buf *to, const unsigned char octets[IPV4_OCTETS])
{
	for (size_t i = 0; i < IPV4_OCTETS; i++) {
		if (i)
			buf_put_char(to, '.');
		buf_put_num(to, octets[i]);
	}
}

bool ip_is_same(const struct ip *a, const struct ip *b)
{
	return a->n == b->n && memcmp(a->octets, b->octets, b->n) == 0;
}

void ip_put(struct buf *to, const struct ip *ip)
{
	char text[IP_TEXT_MAX];

	if (ip->n == IPV4_OCTETS)
		put_ipv4(to, ip->octets);
	else if (ip->n && inet_ntop(AF_INET6, ip->octets, text, sizeof(text)))
		buf_put_str(to, text);
}

/* prefix = "0" / ( %x31-39 *2DIGIT ), at most `most` */
static bool read_prefix(struct span text, size_t most, size_t *ret)
{
	uint64_t bits;

	if (!num_parse(text, &bits) || bits > most || (text.n > 1 && *text.p == '0'))
		return false;
	*ret = (size_t)bits;
	return true;
}

/* True when all bits after the prefix are 0. */
static bool is_cut(const unsigned char *octets, size_t n, size_t prefix)
{
	size_t i = prefix / OCTET_BITS;

	if (i < n && octets[i] & (0xff >> prefix % OCTET_BITS))
		return false;
	while (++i < n)
		if (octets[i])
			return false;
	return true;
}

const char *network_parse(struct span text, struct network *ret)
{
	struct span bits = text, address = span_take(&bits, '/');
	unsigned char octets[IPV6_OCTETS];
	size_t n = read_octets(address, octets);
	size_t prefix = n * OCTET_BITS;
	struct ip ip;

	if (n == 0)
		return "is not a network such as 192.0.2.0/24 or 2001:db8::/32";
	if (address.n < text.n && !read_prefix(bits, prefix, &prefix))
		return n == IPV4_OCTETS ? "has a prefix that is not a number from 0 to 32"
					: "has a prefix that is not a number from 0 to "
					  "128";
	if (!is_cut(octets, n, prefix))
		return "has bits set behind its prefix";
	ip = ip_of(octets, n);
	/*
	 * a mapped address passed is_cut(), so its prefix covers that of all mapped ones
	 */
	*ret = (struct network){ ip, prefix - OCTET_BITS * (n - ip.n) };
	return NULL;
}

bool network_has(const struct network *network, const struct ip *ip)
{
	size_t whole = network->prefix / OCTET_BITS, rest = network->prefix % OCTET_BITS;
	const unsigned char *a = network->ip.octets, *b = ip->octets;

	if (network->ip.n != ip->n || memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (OCTET_BITS - rest) == 0;
}

bool networks_have(const struct networks *networks, const struct ip *ip)
{
	for (size_t i = 0; i < networks->n; i++)
		if (network_has(&networks->list[i], ip))
			return true;
	return false;
}

int network_compare(const struct network *a, const struct network *b)
{
	if (a->prefix != b->prefix)
		return a->prefix > b->prefix ? -1 : 1;
	if (a->ip.n != b->ip.n)
		return a->ip.n < b->ip.n ? -1 : 1;
	return memcmp(a->ip.octets, b->ip.octets, a->ip.n);
}
