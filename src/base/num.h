/* SPDX-License-Identifier: ISC */
/* Decimal numbers, without a locale and without errno. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

#define NUM_MAX 20 /* digits of UINT64_MAX */

/* Parses 1 to 20 digits. False: the span is empty, has another octet, or overflows. */
bool num_parse(struct span s, uint64_t *ret);

/* True for 1 to 20 digits, of any value. */
bool num_is_digits(struct span s);

/* Writes the digits into to[NUM_MAX], without a NUL; returns their number. */
size_t num_format(uint64_t value, char *to);
