/* ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2, RFC 6531 3.3). */
#pragma once

#include "base/span.h"

struct param {
	struct span keyword;
	struct span value; /* empty without "=" */
	bool has_value;
	bool utf8; /* the value is not all ASCII: only SMTPUTF8 allows that, and few parameters */
};

enum param_step {
	PARAM_END,
	PARAM_ONE,
	PARAM_SYNTAX, /* `ret->keyword` is what could not be read */
};

/* Takes the next parameter from the front of `args`. Borrows from it. */
enum param_step param_take(struct span *args, struct param *ret);
