/*
 * What is wrong with a file or a setting, as one sentence that names it and says what
 * to do.
 */
#pragma once

#include "edge/tls/file.h"
#include "edge/tls/tls.h"

struct tls_fault {
	char text[TLS_FAULT_TEXT];
};

/*
 * Writes the sentence (a too long one is cut) and returns -EINVAL, for the caller to
 * return.
 */
int tls_fault_set(struct tls_fault *fault, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Says why the file of a setting could not be read; `r` and the file are tls_file_read()'s.
 * -ENOMEM stays that.
 */
int tls_fault_file(struct tls_fault *fault, const char *setting, const char *path, int r,
	const struct tls_file *file);

static inline void tls_fault_report(
	const struct tls_fault *fault, const struct tls_report *report)
{
	report->fault(report->ctx, fault->text);
}
