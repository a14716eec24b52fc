/* base64 (RFC 4648 4): octets as text, as AUTH sends them. */
#pragma once

#include "base/buf.h"

/* Appends the text that stands for `octets`. */
void base64_put(struct buf *to, struct span octets);

/*
 * Appends the octets that `text` stands for. False when it stands for none: a character outside the alphabet
 * (RFC 4648 3.3), padding that is missing or out of place (3.2), bits in it that are not zero (3.5). Part of
 * them may have been appended then.
 */
bool base64_take(struct span text, struct buf *ret);
