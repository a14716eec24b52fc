/*
 * Names that are not ASCII (RFC 6531 3.3), and the one form in which they are compared.
 * To find that form takes tables of Unicode, which the engine has not: main plugs them
 * in.
 */
#pragma once

#include "smtp/tx.h"

#define NAMES_LOCAL_MAX 512 /* octets of a local part in that form: above NAME_MAX */

enum names_result {
	NAMES_FINE,
	NAMES_INVALID, /* no name can be like that */
	NAMES_UNAVAILABLE, /* nobody can tell now */
};

struct names {
	/*
	 * Appends a domain name in lower case, its U-labels as A-labels (RFC 5890
	 * 2.3.2.1). INVALID: a label is none of IDNA.
	 */
	enum names_result (*domain)(
		struct names *names, struct span domain, struct buf *to);
	/* Appends the octets of a local part in lower case and Normalization Form C. */
	enum names_result (*local)(
		struct names *names, struct span local, struct buf *to);
	const char *fault; /* with UNAVAILABLE: why; NULL: that is not known */
};

/* NULL, or what is wrong with the domain of a reverse-path that is not ASCII. */
const struct reply *names_check_sender(struct names *names, const struct path *sender);

/*
 * Brings local part and domain of the recipient into that form, as far as they are not
 * ASCII; its mailbox stays as it was written. NULL, or the refusal.
 */
const struct reply *names_settle(struct names *names, struct recipient *r);
