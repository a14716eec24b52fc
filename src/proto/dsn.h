/* SPDX-License-Identifier: ISC */
/* The parameters that ask for delivery reports (RFC 3461 4). */
#pragma once

#include "base/buf.h"
#include "proto/network.h"

#define DSN_ENVID_MAX 100 /* octets of a value of ENVID (RFC 3461 5.4) */
#define DSN_ORCPT_MAX 500 /* and of ORCPT */

/*
 * Prefix lengths of the networks that count as one source of reports. Such a network is
 * larger than one host, because a sender with many addresses usually has all of them in
 * one network.
 */
#define DSN_SOURCE_IPV4 24
#define DSN_SOURCE_IPV6 48
#define DSN_SOURCE_MAX 16 /* octets that dsn_put_source() appends at most */

/*
 * Parses a value of NOTIFY. *ret_success: success must be reported. False: invalid value.
 */
bool dsn_notify(struct span value, bool *ret_success);

/* True for a value of RET. */
bool dsn_is_ret(struct span value);

/* True for a value of ENVID: xtext, which xtext_put() decodes. */
bool dsn_is_envid(struct span value);

/* True for a value of ORCPT; `utf8`: octets above 127 are allowed (SMTPUTF8). */
bool dsn_is_orcpt(struct span value, bool utf8);

/*
 * Appends a valid value of ORCPT for a report, "rfc822; a@example.org": decoded, except a
 * UTF-8 address in a report without `utf8` (RFC 6533 3).
 */
void dsn_put_orcpt(struct buf *to, struct span value, bool utf8);

/*
 * Appends ",N=" and the source of the address in hexadecimal digits to the name of a
 * report's file; nothing without an address. postern-outbox divides its rate by source.
 */
void dsn_put_source(struct buf *to, const struct ip *ip);

/* Returns the digits that dsn_put_source() put into a file name, or an empty span. */
struct span dsn_source(struct span name);

/*
 * The header of a message. It is kept while the message arrives, because a report returns
 * it (RFC 6522 4, RFC 6533 4.3).
 */
enum returned_encoding {
	RETURNED_7BIT,
	RETURNED_8BIT, /* UTF-8 */
	RETURNED_QUOTED, /* quoted-printable (RFC 2045 6.7) */
};

struct returned {
	/* memory of the caller; the part of a header that does not fit is lost */
	struct buf text;
	bool done; /* the header has ended, or the memory is full */
	enum returned_encoding encoding; /* set by returned_seal() */
	size_t at; /* octets written */
	size_t n_line; /* octets of the line being written */
};

/* Reads the next piece of the message; pieces may end anywhere. */
void returned_take(struct returned *r, struct span text);

/*
 * Ends the header. Keeps the whole lines that are fields, and chooses an encoding that
 * any mail system can carry and in which no line is `boundary`. Only with `utf8` it may
 * be 8BIT.
 */
void returned_seal(struct returned *r, struct span boundary, bool utf8);

/* Starts writing the header from its beginning. */
void returned_rewind(struct returned *r);

#define RETURNED_ROOM 8
/*
 * Appends as much as fits; with RETURNED_ROOM free octets, at least one. True when all is
 * written.
 */
bool returned_put(struct returned *r, struct buf *to);
