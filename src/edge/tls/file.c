/* SPDX-License-Identifier: ISC */
/*
 * Reads files of certificates, keys and ticket keys, and describes their faults. At most
 * TLS_FILE_MAX octets are read, opening never waits (a FIFO in place of a key), and no
 * octet remains in freed memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/tls/parts.h"

#define ACL_ATTRIBUTE "system.posix_acl_access"

static int read_octets(int fd, struct tls_file *file, size_t n)
{
	while (file->n < n) {
		/*
		 * by pread(2), because several processes may read a file that was opened
		 * before
		 */
		ssize_t r = pread(fd, file->data + file->n, n - file->n, (off_t)file->n);

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0)
			break;
		if (r > 0)
			file->n += (size_t)r;
	}
	return 0;
}

static int read_opened(int fd, struct tls_file *ret)
{
	CLEANUP(tls_file_done) struct tls_file file = { 0 };
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > TLS_FILE_MAX)
		return -EFBIG;
	file.data = malloc((size_t)st.st_size + 1);
	if (!file.data)
		return -ENOMEM;
	r = read_octets(fd, &file, (size_t)st.st_size);
	if (r < 0)
		return r;
	if (credential_is_placeholder((struct span){ (char *)file.data, file.n })) {
		*ret = file;
		file = (struct tls_file){ 0 };
		return TLS_FILE_NO_CREDENTIAL;
	}
	file.mode = st.st_mode;
	/*
	 * The access list of a file that everyone may read does not matter; most
	 * certificates are such files.
	 */
	if ((st.st_mode & S_IRWXG) && !(st.st_mode & S_IRWXO))
		file.has_acl = fgetxattr(fd, ACL_ATTRIBUTE, NULL, 0) > 0;
	*ret = file;
	file = (struct tls_file){ 0 };
	return 0;
}

int tls_file_read(
	const struct tls_settings *settings, const char *path, struct tls_file *ret)
{
	OWNED_FD int fd = -1;

	if (credential_is_unset(path))
		return TLS_FILE_NO_CREDENTIAL;
	for (size_t i = 0; i < settings->n_opened; i++) {
		const struct tls_opened *o = &settings->opened[i];
		if (strcmp(o->path, path) == 0)
			return o->fd < 0 ? o->fd : read_opened(o->fd, ret);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : read_opened(fd, ret);
}

void tls_file_done(struct tls_file *file)
{
	if (file->data)
		gnutls_memset(file->data, 0, file->n);
	free(file->data);
	*file = (struct tls_file){ 0 };
}

bool tls_file_shared_with_group(const struct tls_file *file)
{
	return (file->mode & (S_IRGRP | S_IWGRP)) && !file->has_acl;
}

bool tls_file_shared_with_others(const struct tls_file *file)
{
	return file->mode & (S_IROTH | S_IWOTH);
}

int tls_fault_set(struct tls_fault *fault, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	fault->is_pin = false;
	va_end(args);
	return -EINVAL;
}

/* Reports a placeholder, with the path of the missing file. */
static int put_credential(struct tls_fault *fault, const char *setting, const char *path,
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
		return put_credential(fault, setting, path, file);
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

void tls_fault_report(const struct tls_fault *fault, const struct tls_report *report)
{
	if (fault->is_pin && report->ret_pin_refused)
		*report->ret_pin_refused = true;
	report->fault(report->ctx, fault->text);
}
