/* Erasure of memory that held a secret. */
#pragma once

#include <string.h>

/*
 * Writes zeros that the compiler cannot optimise away.
 *
 * COST: explicit_bzero(3) does the same, but no other code needs its symbol version, and
 * the dynamic linker looks that up at each start: more instructions than all else that
 * AUTH adds to a session without it.
 */
static inline void wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}
