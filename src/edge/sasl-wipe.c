/*
 * Promises that what the libraries of this module free is overwritten first. libgsasl and
 * libidn keep passwords in several places and only free them. The module is loaded with
 * RTLD_DEEPBIND: they find this function before libc's, and nobody else does.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void __libc_free(void *p); /* glibc's, under its other name */

__attribute__((visibility("default"))) void free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
}
