/* The parameters by which a sender asks for delivery reports (RFC 3461 4). */
#pragma once

#include "base/buf.h"

#define DSN_ENVID_MAX 100 /* octets of a value of ENVID (RFC 3461 5.4) */
#define DSN_ORCPT_MAX 500 /* and of ORCPT */

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
