/* SPDX-License-Identifier: ISC */
/*
 * Keys and values of the recipients table: names of recipients, and the mailboxes that
 * receive their mail.
 */
#pragma once

#include "base/span.h"
#include "base/words.h"

#define DESTINATION_PATH_MAX 512 /* octets of a path as written in the table */
#define DESTINATION_PATHS_MAX 16 /* mailboxes of one line */

struct destination {
	/*
	 * templates below mail-root, with commas between them; empty: that of the setting
	 */
	struct span paths;
	bool auth; /* only from clients that have logged in */
	bool deny; /* the name has no mailbox, even if another line matches it */
	bool unfiltered; /* no filter is asked about its mail */
};

struct destination_fault {
	struct span word; /* the wrong word; may be empty */
	const char *what; /* rest of the sentence */
	const struct words *words; /* what `word` was perhaps meant to be, or NULL */
};

/*
 * value = [ paths ] *( 1*WSP flag )
 * paths = *( path "," ) path
 * flag  = "auth" / "deny" / "milters=off"
 *
 * Each flag once, and "deny" alone; each path once. A path with the name of a flag is
 * written "./auth". One that begins with "./" may have commas, so it ends the list.
 * Fills ret or ret_fault, which borrow from `value`; it has no blanks at its ends.
 */
bool destination_parse(
	struct span value, struct destination *ret, struct destination_fault *ret_fault);

/* Removes the first path from a list that is not empty, and returns it. */
struct span destination_take_path(struct span *paths);

/*
 * path = *( "%u" / "%d" / "%%" / octet )
 *
 * Returns NULL, or the fault of a path: it has ".." in it, or another "%".
 */
const char *destination_path_fault(struct span path);
/*
 * Like destination_path_fault(), for a path that must be printable and below mail-root.
 */
const char *destination_below_fault(struct span path);

/*
 * key = local "@" domain / "@" domain / local
 *
 * Returns NULL, or the reason why such a key can never be found: names have no quotes and
 * are in lower case, domains are in ASCII. Tables of Unicode are not used.
 */
const char *destination_key_fault(struct span key);

/* Cuts a key in two at its last "@"; without one the domain is empty. */
void destination_key_cut(
	struct span key, struct span *ret_local, struct span *ret_domain);
