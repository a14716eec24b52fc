/* The parameters of MAIL and RCPT: one struct and one table of keywords for each. */
#pragma once

#include <stdint.h>
#include "base/span.h"

/*
 * Octets that a line may have above COMMAND_LINE_MAX, blanks included: SIZE 26 (RFC 1870 3), BODY 17
 * (RFC 6152 2), REQUIRETLS 11 (RFC 8689 2), PRDR 5, SMTPUTF8 10 (RFC 6531 3.1), AUTH 500 (RFC 4954 3), RET 9
 * and ENVID 107 (RFC 3461 5.4). There ENVID and ORCPT have 100 and 500 characters, which some count with their keywords and some
 * without: without is more.
 */
#define MAIL_EXTRA_MAX (26 + 17 + 11 + 5 + 10 + 500 + 9 + 107)
#define RCPT_EXTRA_MAX (29 + 507) /* NOTIFY, ORCPT */

enum mail_body {
	BODY_UNSPECIFIED,
	BODY_7BIT,
	BODY_8BITMIME,
	BODY_BINARYMIME, /* RFC 3030 3: octets, which are stored as they are */
};

struct mail_params {
	bool has_size;
	uint64_t size; /* octets declared (RFC 1870) */
	enum mail_body body; /* RFC 6152 */
	bool requiretls; /* RFC 8689 */
	bool prdr; /* a reply for each recipient, draft-hall-prdr-00 4.2 */
	bool smtputf8; /* RFC 6531: addresses may be UTF-8 */
	struct span envid; /* ENVID, a valid xtext; empty for none (RFC 3461 4.4) */
};

struct rcpt_params {
	bool report; /* NOTIFY has SUCCESS (RFC 3461 4.1) */
	struct span orcpt; /* ORCPT, valid; empty for none (RFC 3461 4.2) */
	bool utf8; /* octets above 127 may be in ORCPT (RFC 6533 3) */
};

struct session;
struct reply;

/*
 * Read all of `args` into *ret, which is zeroed; spans in it borrow from `args`. A parameter of an
 * extension that is not offered now is unknown. NULL, or the refusal that names the first bad one.
 */
const struct reply *params_mail(
	struct session *s, struct span args, struct mail_params *ret);
const struct reply *params_rcpt(
	struct session *s, struct span args, struct rcpt_params *ret);
