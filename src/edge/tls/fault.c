/* Words faults. Knows no certificate and no library but libc. */
#include "edge/tls/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "edge/file.h"

int tls_fault_set(struct tls_fault *fault, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return -EINVAL;
}

/* A placeholder says which file it stands for. */
static int say_credential(struct tls_fault *fault, const char *setting, const char *path,
	const struct tls_file *file)
{
	const char *name = strrchr(path, '/');
	char text[CREDENTIAL_FAULT_MAX];
	struct buf b = BUF(text);

	credential_put_fault(&b, path, (struct span){ (char *)file->data, file->n });
	if (!buf_terminate(&b))
		text[sizeof(text) - 1] = '\0';
	return tls_fault_set(fault, "%s %s%s: %s", setting, name ? CREDENTIAL_PREFIX : "",
		name ? name + 1 : path, text);
}

int tls_fault_file(struct tls_fault *fault, const char *setting, const char *path, int r,
	const struct tls_file *file)
{
	char text[TLS_FAULT_TEXT];
	struct buf b = BUF(text);

	switch (r) {
	case -ENOMEM:
		return r;
	case TLS_FILE_NO_CREDENTIAL:
		return say_credential(fault, setting, path, file);
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
