/* SPDX-License-Identifier: ISC */
/* Escapes of octets that a line cannot show, and patterns with "..." in them. */
#pragma once

#include <stdbool.h>
#include "arena.h"

/*
 * Appends the octets of the notation: \r \n \t \0 \\ \xHH, and \{N*text} for N times the text. False when an escape
 * is none of these.
 */
bool pattern_unescape(struct arena *a, struct text *to, struct span raw);

/*
 * A pattern: "..." and the blanks beside it match anything, line ends included. With `escapes`, the escapes above are
 * valid, too, and a dot written \x2E is never part of "...". False when an escape is wrong.
 */
bool pattern_compile(struct arena *a, struct span raw, bool escapes, struct span *ret);
bool pattern_matches(struct span pattern, struct span text);

/* True for "..." alone. */
bool pattern_is_any(struct span pattern);
