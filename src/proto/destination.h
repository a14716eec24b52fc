/* What a line of the table of recipients says: which names it is for, and where their mail goes. */
#pragma once

#include "base/span.h"

#define DESTINATION_PATH_MAX 512 /* octets of a path as it is written */

struct destination {
	struct span path; /* a template below mail-root; empty: as the setting has it */
	bool auth; /* only from clients that have logged in */
	bool deny; /* names no mailbox, whatever other lines say */
};

struct destination_fault {
	struct span word; /* what is wrong; may be empty */
	const char *what; /* to be read behind it */
};

/*
 * value = [ path ] *( 1*WSP flag )
 * flag  = "auth" / "deny"
 *
 * Each flag once, and "deny" alone. A path that is called like a flag is written "./auth". One of ret and
 * ret_fault is filled, and borrows from `value`, which has no blanks at its ends.
 */
bool destination_parse(
	struct span value, struct destination *ret, struct destination_fault *ret_fault);

/*
 * path = *( "%u" / "%d" / "%%" / octet )
 *
 * NULL, or what is wrong with a path: it has ".." in it, or another "%".
 */
const char *destination_path_fault(struct span path);
/* The same for one that must begin at mail-root, and be printable. */
const char *destination_below_fault(struct span path);

/*
 * key = local "@" domain / "@" domain / local
 *
 * NULL, or why no name is ever looked up like that: names are without quotes and in lower case, domains in
 * ASCII. What tables of Unicode know is not asked.
 */
const char *destination_key_fault(struct span key);

/* Cuts a key in two at its last "@"; without one the domain is empty. */
void destination_key_cut(
	struct span key, struct span *ret_local, struct span *ret_domain);
