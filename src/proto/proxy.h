/* SPDX-License-Identifier: ISC */
/*
 * The header in which a proxy names the client of a connection: the PROXY protocol of
 * HAProxy, versions 1 and 2 ("The PROXY protocol", revision of 2020-03-05, section 2).
 */
#pragma once

#include <stdint.h>
#include "proto/network.h"

#define PROXY_LINE_MAX 107 /* version 1, CRLF included (2.1) */
/*
 * A whole header of version 2: 52 octets with the addresses, then TLVs, which are skipped
 * and may hold a certificate. The length field would allow 65551.
 */
#define PROXY_HEADER_MAX 4096

enum proxy_step {
	PROXY_MORE, /* the octets so far may begin a header */
	PROXY_DONE,
	PROXY_MALFORMED, /* the octets begin no header */
};

struct proxy_header {
	size_t n; /* octets of the header; the client's own octets follow */
	/* empty for LOCAL and UNKNOWN: a connection of the proxy itself */
	struct ip client;
	uint16_t port;
};

/* Reads a header at the front of `in`; *ret is filled when it is done. */
enum proxy_step proxy_parse(struct span in, struct proxy_header *ret);
