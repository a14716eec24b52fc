/*
 * The header by which a proxy tells whose connection it passes on: the PROXY protocol of
 * HAProxy, versions 1 and 2 ("The PROXY protocol", revision of 2020-03-05, section 2).
 */
#pragma once

#include <stdint.h>
#include "proto/network.h"

#define PROXY_LINE_MAX 107 /* version 1, CRLF included (2.1) */
/* Version 2, all of it. What is above its 52 octets of addresses is TLVs, which nobody
 * here reads: a certificate's worth of them. Its length field could say 65551. */
#define PROXY_HEADER_MAX 4096

enum proxy_step {
	PROXY_MORE, /* so far it can be a header */
	PROXY_DONE,
	PROXY_MALFORMED, /* no header begins so, whatever follows */
};

struct proxy_header {
	size_t n; /* octets of the header; what is behind them is the client's */
	struct ip client; /* none: LOCAL, UNKNOWN and the like, the proxy for itself */
	uint16_t port;
};

/* Reads a header at the front of `in`; *ret is filled when it is done. */
enum proxy_step proxy_parse(struct span in, struct proxy_header *ret);
