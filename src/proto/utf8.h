/* Text in UTF-8 (RFC 3629 4). */
#pragma once

#include <stdbool.h>
#include "base/span.h"

/* Octets of the well-formed character that `s` begins with, 1 to 4; 0 when there is none. */
size_t utf8_length(struct span s);

/* True when `s` is made of well-formed characters alone; an empty one is. */
bool utf8_valid(struct span s);

/* True when no octet is above 127. */
bool utf8_is_ascii(struct span s);

/*
 * UTF8-non-ascii of RFC 6532 3.1, which RFC 6531 3.3 lets addresses and values of parameters hold: octets
 * of the character that `s` begins with, 2 to 4; 0 when it is ASCII, malformed, or one of the control
 * characters U+0080 to U+009F, which have no business in either.
 */
size_t utf8_non_ascii(struct span s);
