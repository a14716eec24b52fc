/* SPDX-License-Identifier: ISC */
/* The trace header that postern puts on top of a message (RFC 5321 4.4). */
#pragma once

#include <stdint.h>
#include "base/buf.h"

/* with the recipient's address as the client sent it */
#define FIELD_ORIGINAL_TO "X-Original-To: "
#define FIELD_DELIVERED_TO "Delivered-To: "
/* octets of all fields, when every value has its maximum length */
#define RECEIVED_MAX 2816

struct received {
	struct span reverse_path; /* mailbox text; empty for <> */
	struct span recipient; /* mailbox text, when there is exactly one; else empty */
	struct span delivered_to; /* mailbox text; empty: the field is left out */
	struct span helo; /* as the client sent it; may be invalid */
	struct span peer; /* textual IP address, or empty */
	struct span peer_name; /* its host name, or empty */
	struct span host; /* name of this host */
	struct span with; /* protocol type: SMTP, ESMTPS, UTF8SMTP (RFC 3848, RFC 6531) */
	/* user name of the client's login, or empty */
	struct span user;
	struct span tls_cipher; /* IANA's name, or empty (RFC 8314 7.4) */
	struct span tls_group;
	struct span id;
	int64_t time; /* seconds since 1970 */
};

/* What with-protocol depends on. */
struct received_protocol {
	bool esmtp, lmtp, utf8, secured, authenticated;
};

/* "ESMTPS" (RFC 3848, RFC 6531 4.3). */
const char *received_protocol(const struct received_protocol *p);

/*
 * Appends Return-Path, which is one line, Delivered-To and Received; lines end with LF.
 */
void received_put(struct buf *to, const struct received *t);

/* Appends "Tue, 01 Dec 2026 09:08:07 +0000" (RFC 5322 3.3). */
void date_put(struct buf *to, int64_t time);

/* Appends "2026-12-01T09:08:07.000042Z" (RFC 3339 5.6). */
void timestamp_put(struct buf *to, int64_t time, uint32_t microseconds);
