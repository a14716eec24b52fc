/* SPDX-License-Identifier: ISC */
/* Formats the text of a fault, so that callers need no buffer. */
#include "base/faults.h"
#include <stdarg.h>
#include <stdio.h>

void faults_put(struct faults *f, const char *format, ...)
{
	char text[FAULTS_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	f->n++;
	faults_warn(f, text);
}
