/* SPDX-License-Identifier: ISC */
/* IP addresses and networks, as values (RFC 4291 2.2, RFC 4632 3.1). */
#pragma once

#include "base/buf.h"

#define IPV4_OCTETS 4
#define IPV6_OCTETS 16
#define IP_TEXT_MAX 46 /* INET6_ADDRSTRLEN: the longest text, and a NUL */

struct ip {
	size_t n; /* length of the address: IPV4_OCTETS or IPV6_OCTETS; 0: no address */
	unsigned char octets[IPV6_OCTETS];
};

struct network {
	struct ip ip; /* all bits after the prefix are 0 */
	size_t prefix; /* bits */
};

/* A list of networks in the settings, which own the memory. */
struct networks {
	const struct network *list;
	size_t n;
};

/*
 * Makes an address of `n` octets in network byte order: IPV4_OCTETS or IPV6_OCTETS. IPv4
 * mapped into IPv6 (::ffff:192.0.2.1, RFC 4291 2.5.5.2) becomes IPv4; so do all functions
 * below.
 */
struct ip ip_of(const unsigned char *octets, size_t n);

/*
 * Parses an address: four decimal numbers without leading zeros, or IPv6 without a zone.
 */
bool ip_parse(struct span text, struct ip *ret);

/*
 * True when both are the same address, or none. `a` may lie in memory that other
 * processes write to: the length is that of `b`.
 */
bool ip_is_same(const struct ip *a, const struct ip *b);

/* Appends the address as inet_ntop(3) writes it: fewer than IP_TEXT_MAX octets. */
void ip_put(struct buf *to, const struct ip *ip);

/*
 * network = ip [ "/" prefix ]; without a prefix it is a single address. Returns NULL, or
 * the fault: a predicate that a message puts behind the text.
 */
const char *network_parse(struct span text, struct network *ret);

/* True when the address has the family of the network and the bits of its prefix. */
bool network_has(const struct network *network, const struct ip *ip);

/* True when the address is in one of the networks. */
bool networks_have(const struct networks *networks, const struct ip *ip);

/* Sorts narrower networks before the wider ones that contain them; 0: they are equal. */
int network_compare(const struct network *a, const struct network *b);
