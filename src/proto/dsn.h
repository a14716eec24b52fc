/* The parameters by which a sender asks for delivery reports (RFC 3461 4). */
#pragma once

#include "proto/network.h"

#define DSN_ENVID_MAX 100 /* octets of a value of ENVID (RFC 3461 5.4) */
#define DSN_ORCPT_MAX 500 /* and of ORCPT */

/*
 * Bits of an address that make it one source of reports: larger networks than one host has, as who has many
 * addresses most often has them from one network.
 */
#define DSN_SOURCE_IPV4 24
#define DSN_SOURCE_IPV6 48
#define DSN_SOURCE_MAX 16 /* octets that dsn_put_source() appends at most */

/* NOTIFY: *ret_success is whether a success is to be reported. False when it is no value of NOTIFY. */
bool dsn_notify(struct span value, bool *ret_success);

/* True for a value of RET. */
bool dsn_is_ret(struct span value);

/* True for a value of ENVID: xtext, which xtext_put() decodes. */
bool dsn_is_envid(struct span value);

/* True for a value of ORCPT; `utf8`: the transaction is SMTPUTF8, and octets above 127 may be in it. */
bool dsn_is_orcpt(struct span value, bool utf8);

/*
 * Appends a valid value of ORCPT as a report has it, "rfc822; a@example.org": decoded, but for a UTF-8
 * address where the report has no `utf8` (RFC 6533 3).
 */
void dsn_put_orcpt(struct buf *to, struct span value, bool utf8);

/*
 * Appends ",N=" and the source of the address in hexadecimal digits to the name of a report's file; nothing for no
 * address. postern-outbox divides its rate among sources.
 */
void dsn_put_source(struct buf *to, const struct ip *ip);

/* These digits in the name of a file; empty: there are none. */
struct span dsn_source(struct span name);
