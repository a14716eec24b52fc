/* SPDX-License-Identifier: ISC */
/* A receiver and counter of the faults found in files. */
#pragma once

#include <stddef.h>

/* octets of one fault with its NUL; longer ones are cut */
#define FAULTS_TEXT_MAX 1024

struct faults {
	void (*report)(void *ctx, const char *fault); /* NULL: faults are only counted */
	void *ctx;
	size_t n;
};

/* Formats a fault as printf(3), reports and counts it. */
void faults_put(struct faults *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reports a warning, which is not counted. */
static inline void faults_warn(const struct faults *f, const char *text)
{
	if (f->report)
		f->report(f->ctx, text);
}
