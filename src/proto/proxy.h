/* SPDX-License-Identifier: ISC */
/*
 * The header in which a proxy names the client of a connection: the PROXY protocol of
 * HAProxy, versions 1 and 2 ("The PROXY protocol", revision of 2020-03-05, section 2).
 */
#pragma once

#include <stdint.h>
#include "proto/network.h"

#define PROXY_LINE_MAX 107 /* version 1, CRLF included (2.1) */
/* Version 2, all of it: 52 octets up to the addresses, and TLVs, which are skipped; they
 * may hold a certificate. The length field would allow 65551. */
#define PROXY_HEADER_MAX 4096

enum proxy_step {
	PROXY_MORE, /* so far it can be a header */
	PROXY_DONE,
	PROXY_MALFORMED, /* no header begins like this */
};

struct proxy_header {
	size_t n; /* octets of the header; those of the client follow */
	struct ip client; /* none: LOCAL, UNKNOWN and the like, from the proxy itself */
	uint16_t port;
};

/* Reads a header at the front of `in`; *ret is filled when it is done. */
enum proxy_step proxy_parse(struct span in, struct proxy_header *ret);
