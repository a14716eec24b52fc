/* SPDX-License-Identifier: ISC */
/*
 * One harness for each parser. libFuzzer calls it repeatedly; in any other build replay.c calls it once for each file
 * of the corpus. A violated condition calls abort().
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/span.h"

#define FUZZ_PIECE_MAX 64 /* octets of a piece, when input comes in pieces */

#define MUST(expr) ((expr) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #expr))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline _Noreturn void fuzz_broken(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
	abort();
}

/* Returns the input after `n` octets with options; empty if it is shorter. */
static inline struct span fuzz_input(const uint8_t *data, size_t size, size_t n)
{
	return size < n ? (struct span){ (const char *)data, 0 }
			: (struct span){ (const char *)data + n, size - n };
}

static inline void fuzz_is_inside(struct span part, struct span whole)
{
	MUST(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}
