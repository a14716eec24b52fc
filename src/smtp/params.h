/* SPDX-License-Identifier: ISC */
/*
 * The service extensions (RFC 5321 2.2) that EHLO lists, and the parameters that they add
 * to MAIL and RCPT (RFC 5321 4.1.1.11).
 */
#pragma once

#include "smtp/state.h"

/* Appends a line for each extension offered now, after an LF. */
void extensions_put(struct buf *to, const struct session *s);

/*
 * Octets that a line may have above COMMAND_LINE_MAX, blanks included: SIZE 26 (RFC 1870
 * 3), BODY 17 (RFC 6152 2), REQUIRETLS 11 (RFC 8689 2), PRDR 5, SMTPUTF8 10 (RFC 6531
 * 3.1), AUTH 500 (RFC 4954 3), RET 9 and ENVID 107 (RFC 3461 5.4). The limits of ENVID
 * (100) and ORCPT (500) count the value alone. Some servers count the keyword, too, which
 * allows shorter values.
 */
#define MAIL_EXTRA_MAX (26 + 17 + 11 + 5 + 10 + 500 + 9 + 107)
#define RCPT_EXTRA_MAX (29 + 507) /* NOTIFY, ORCPT */

/*
 * Parse `args` into *ret, which is zeroed; its spans borrow from `args`. A parameter is
 * unknown unless its extension is offered. Return no reply, or the refusal of the first
 * invalid parameter.
 */
struct answer params_mail(struct session *s, struct span args, struct mail_params *ret);
struct answer params_rcpt(struct session *s, struct span args, struct rcpt_params *ret);
