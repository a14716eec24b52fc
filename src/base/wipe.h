/* Octets that a secret has been in. */
#pragma once

#include <string.h>

/*
 * Makes them zero, even if nobody is going to read them. explicit_bzero(3) does the same;
 * but a symbol of a version of libc that nothing else asks for is looked for as each
 * process starts, which takes more instructions than all else that AUTH adds to a session
 * without it.
 */
static inline void wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}
