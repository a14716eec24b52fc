/*
 * The service extensions (RFC 5321 2.2), which EHLO lists, and the parameters that they
 * add to MAIL and RCPT (RFC 5321 4.1.1.11).
 */
#pragma once

#include "smtp/state.h"

/* Appends the lines of the extensions that are offered now, each behind an LF. */
void extensions_put(struct buf *to, const struct session *s);

/*
 * Octets that a line may have above COMMAND_LINE_MAX, blanks included: SIZE 26 (RFC 1870
 * 3), BODY 17 (RFC 6152 2), REQUIRETLS 11 (RFC 8689 2), PRDR 5, SMTPUTF8 10 (RFC 6531
 * 3.1), AUTH 500 (RFC 4954 3), RET 9 and ENVID 107 (RFC 3461 5.4). There ENVID and ORCPT
 * have 100 and 500 characters; some count them with their keywords, others without, which
 * is more.
 */
#define MAIL_EXTRA_MAX (26 + 17 + 11 + 5 + 10 + 500 + 9 + 107)
#define RCPT_EXTRA_MAX (29 + 507) /* NOTIFY, ORCPT */

/*
 * Read all of `args` into *ret, which is zeroed; spans in it borrow from `args`. A
 * parameter of an extension that is not offered now is unknown. None, or the refusal that
 * names the first bad one.
 */
struct answer params_mail(struct session *s, struct span args, struct mail_params *ret);
struct answer params_rcpt(struct session *s, struct span args, struct rcpt_params *ret);
