/* SPDX-License-Identifier: ISC */
/*
 * Questions to a name server, and its answers (RFC 1035), as far as the name of an
 * address is concerned: PTR, A and AAAA, with the aliases in front of them. It is pure
 * code: no descriptors, clock or allocation.
 *
 * Answers are made by strangers: who owns an address writes its names. A name has octets
 * of host names alone, or it is not taken.
 */
#pragma once

#include <stdint.h>
#include "base/buf.h"
#include "proto/network.h"

#define DNS_NAME_MAX 253 /* octets of a name, without the last dot */
#define DNS_QUERY_MAX 300 /* octets of a question */
/* octets of an answer: what passes any link of IPv6 unfragmented (RFC 9715) */
#define DNS_ANSWER_MAX 1232
#define DNS_NAMES_MAX 4 /* names of an address that are looked at */
#define DNS_ALIASES_MAX 8 /* CNAME records one behind the other */
#define DNS_SERVERS_MAX 3 /* as resolv.conf(5) */

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_AAAA = 28,
};

struct dns_name {
	char text[DNS_NAME_MAX + 1]; /* in lower case */
};

struct dns_question {
	uint16_t id; /* random: an answer must have the same */
	enum dns_type type;
	struct dns_name name;
};

enum dns_result {
	DNS_FOUND,
	DNS_ABSENT, /* there is no such name, or no such record that can be used */
	DNS_FAILED, /* the server cannot answer: another may */
	DNS_OTHER, /* it is no answer to the question, or a broken one */
};

/* "1.2.0.192.in-addr.arpa", or 32 digits and "ip6.arpa" (RFC 1035 3.5, RFC 3596 2.5). */
void dns_reverse_name(struct dns_name *ret, const struct ip *ip);

/* Appends the question, with the size of answers that is taken (RFC 6891). */
void dns_put_question(struct buf *to, const struct dns_question *q);

/*
 * The names in an answer to a question for DNS_PTR, the first ones of several. One of
 * digits and dots alone is none: it looks like an address.
 */
enum dns_result dns_take_names(struct span answer, const struct dns_question *q,
	struct dns_name ret[DNS_NAMES_MAX], size_t *ret_n);

/* DNS_FOUND: `ip` is among the addresses in an answer; DNS_ABSENT: it is not. */
enum dns_result dns_take_address(
	struct span answer, const struct dns_question *q, const struct ip *ip);

/*
 * A name that can be shown and sent: labels of letters, digits, "-" and "_", with dots
 * between them, DNS_NAME_MAX octets at most, and not digits and dots alone.
 */
bool dns_is_host_name(struct span text);

/*
 * The addresses behind "nameserver" in a file as in resolv.conf(5), DNS_SERVERS_MAX at
 * most, and 127.0.0.1 where there is none. An address with a zone is left out. Returns
 * how many there are.
 */
size_t dns_take_servers(struct span file, struct ip ret[DNS_SERVERS_MAX]);
