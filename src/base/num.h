/* Decimal numbers, without a locale and without errno. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

#define NUM_MAX 20 /* digits of UINT64_MAX */

/* Reads a whole span of 1 to 20 digits. False when it is empty, has another octet, or
 * overflows. */
bool num_parse(struct span s, uint64_t *ret);

/* True for 1 to 20 digits, whatever they come to. */
bool num_is_digits(struct span s);

/* Writes the digits into to[NUM_MAX], without a NUL; returns how many. */
size_t num_format(uint64_t value, char *to);
