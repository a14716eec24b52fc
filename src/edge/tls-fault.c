/* Words faults. Knows no certificate and no library but libc. */
#include "edge/tls-fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "edge/tls-file.h"

int tls_fault_set(struct tls_fault *fault, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return -EINVAL;
}

int tls_fault_file(struct tls_fault *fault, const char *setting, const char *path, int r)
{
	switch (r) {
	case -ENOMEM:
		return r;
	case -EINVAL:
		return tls_fault_set(
			fault, "%s %s: is not a regular file", setting, path);
	case -EFBIG:
		return tls_fault_set(fault, "%s %s: is larger than %d octets", setting,
			path, TLS_FILE_MAX);
	case -EACCES:
		return tls_fault_set(fault,
			"%s %s: %s; it and its directories must be readable for "
			"postern's user",
			setting, path, strerror(-r));
	default:
		return tls_fault_set(fault, "%s %s: %s", setting, path, strerror(-r));
	}
}
