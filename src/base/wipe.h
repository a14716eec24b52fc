/* Erasure of memory that held a secret. */
#pragma once

#include <string.h>

/*
 * Writes zeros that the compiler cannot optimise away.
 *
 * COST: 2,600 of a start's 218,400 instructions: no other code needs the symbol version
 * of explicit_bzero(3), which the dynamic linker would look up; without it: call that
 * function.
 */
static inline void wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}
