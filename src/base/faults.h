/* Where the faults of files go, and how many there were. */
#pragma once

#include <stddef.h>

/* octets of one fault, the NUL included; what is longer is cut */
#define FAULTS_TEXT_MAX 1024

struct faults {
	void (*report)(void *ctx, const char *fault); /* NULL: they are only counted */
	void *ctx;
	size_t n;
};

/* Reports a fault, as printf(3) has it, and counts it. */
void faults_put(struct faults *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reports what is no fault. */
static inline void faults_warn(const struct faults *f, const char *text)
{
	if (f->report)
		f->report(f->ctx, text);
}
