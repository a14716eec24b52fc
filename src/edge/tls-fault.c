/* Words faults. Knows no certificate and no library but libc. */
#include "edge/tls-fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "edge/credential.h"
#include "edge/file.h"
#include "edge/tls-file.h"

int tls_fault_set(struct tls_fault *fault, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return -EINVAL;
}

/* The placeholder is read again, for the file that it names. */
static int say_credential(struct tls_fault *fault, const char *setting, const char *path)
{
	OWNED char *content = NULL;
	ssize_t n = file_read(path, TLS_FILE_MAX, &content);
	const char *name = strrchr(path, '/');
	char text[CREDENTIAL_FAULT_MAX];
	struct buf b = BUF(text);

	credential_put_fault(&b, path, (struct span){ content, n < 0 ? 0 : (size_t)n });
	if (!buf_terminate(&b))
		text[sizeof(text) - 1] = '\0';
	return tls_fault_set(fault, "%s %s%s: %s", setting, name ? CREDENTIAL_PREFIX : "",
		name ? name + 1 : path, text);
}

int tls_fault_file(struct tls_fault *fault, const char *setting, const char *path, int r)
{
	char text[TLS_FAULT_TEXT];
	struct buf b = BUF(text);

	switch (r) {
	case -ENOMEM:
		return r;
	case TLS_FILE_NO_CREDENTIAL:
		return say_credential(fault, setting, path);
	case -EINVAL:
		return tls_fault_set(
			fault, "%s %s: is not a regular file", setting, path);
	case -EFBIG:
		return tls_fault_set(fault, "%s %s: is larger than %d octets", setting,
			path, TLS_FILE_MAX);
	default:
		file_put_fault(&b, path, -r, FILE_SECRET);
		return tls_fault_set(fault, "%s %s: %s", setting, path,
			b.overflow ? strerror(-r) : text);
	}
}
