/* SPDX-License-Identifier: ISC */
/*
 * Names that are not ASCII (RFC 6531 3.3) and their form for comparison. The conversion
 * needs tables of Unicode, so it is an interface that a module implements.
 */
#pragma once

#include "smtp/tx.h"

#define NAMES_LOCAL_MAX 512 /* octets of a local part in that form: above NAME_MAX */

enum names_result {
	NAMES_FINE,
	NAMES_INVALID, /* not a valid name */
	NAMES_UNAVAILABLE, /* the name cannot be checked now */
};

struct names {
	/*
	 * Appends a domain name in lower case, U-labels as A-labels (RFC 5890 2.3.2.1).
	 * INVALID: a label is not valid in IDNA.
	 */
	enum names_result (*domain)(
		struct names *names, struct span domain, struct buf *to);
	/* Appends the octets of a local part in lower case and Normalization Form C. */
	enum names_result (*local)(
		struct names *names, struct span local, struct buf *to);
	const char *fault; /* reason of UNAVAILABLE; NULL: unknown */
};

/* Returns NULL, or the refusal of a reverse-path whose domain is not ASCII. */
const struct reply *names_check_sender(struct names *names, const struct path *sender);

/*
 * Converts the recipient's local part and domain to the form for comparison, unless they
 * are ASCII; the mailbox stays as written. Returns NULL, or the refusal.
 */
const struct reply *names_settle(struct names *names, struct recipient *r);
