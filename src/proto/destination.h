/* SPDX-License-Identifier: ISC */
/* Keys and values of the recipients table: the names, and where their mail goes. */
#pragma once

#include "base/span.h"
#include "base/words.h"

#define DESTINATION_PATH_MAX 512 /* octets of a path as it is written */
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

/* Takes the first path off a list that has one. */
struct span destination_take_path(struct span *paths);

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
 * NULL, or why such a key is never looked up: names are without quotes and in lower case,
 * domains in ASCII. Tables of Unicode are not used.
 */
const char *destination_key_fault(struct span key);

/* Cuts a key in two at its last "@"; without one the domain is empty. */
void destination_key_cut(
	struct span key, struct span *ret_local, struct span *ret_domain);
