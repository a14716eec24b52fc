/* One line of a table in text: a key and what it stands for. */
#pragma once

#include "base/buf.h"

#define ENTRY_KEY_MAX 1024 /* octets: more than an address has */
#define ENTRY_VALUE_MAX 4096 /* octets */
#define ENTRY_SHOWN_MAX                                                                  \
	80 /* octets of a word in a sentence, and what tells that there are more */

enum entry_line {
	ENTRY_BLANK, /* nothing, or a comment: "#" in front */
	ENTRY_FINE,
	ENTRY_WRONG,
};

/*
 * line = key [ 1*WSP value ] *WSP
 *
 * A key has no blank in it, and a value may be missing, which is an empty one. Borrows from `line`, which has
 * no line end. With ENTRY_WRONG *ret_what is a sentence, and nothing else is filled.
 */
enum entry_line entry_parse(struct span line, struct span *ret_key,
	struct span *ret_value, const char **ret_what);

/* Appends a key or a word of a value for people to read: what is no printable UTF-8 as \xHH, and not all of a long one. */
void entry_show(struct buf *to, struct span word);
