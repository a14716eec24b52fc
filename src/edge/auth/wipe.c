/* SPDX-License-Identifier: ISC */
/*
 * free() and realloc() that overwrite memory first, for the libraries of sasl.so and
 * tls.so. libgsasl, libidn and GnuTLS (in records with a password) free secrets without
 * wiping them, or pass them to realloc(), which in libc releases the old memory without
 * calling free(). The modules are loaded with RTLD_DEEPBIND, so that their libraries, and
 * no other code, use these functions in place of those of libc.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void __libc_free(void *p); /* glibc's own name of free() */

__attribute__((visibility("default"))) void free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *moved;

	if (p && n == 0) {
		free(p);
		return NULL;
	}
	if (p && n <= had)
		return p;
	moved = malloc(n);
	if (moved && p) {
		memcpy(moved, p, had);
		free(p);
	}
	return moved;
}
