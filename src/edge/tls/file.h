/*
 * Small files with secrets in them: read whole, never followed past a cap, wiped after
 * use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "edge/tls/tls.h"

/*
 * A leaf, a chain and a key are some 10 KiB; a list of all the world's authorities is
 * not meant.
 */
#define TLS_FILE_MAX (256 * 1024)

struct tls_file {
	unsigned char *data;
	size_t n;
	mode_t mode;
	bool has_acl; /* the mode's group bits are then the list's mask, and say nothing
			 of a group */
};

/* systemd has put no file in place (edge/file.h): the file is the placeholder, or empty */
#define TLS_FILE_NO_CREDENTIAL (-ENOKEY)

/*
 * A file of these settings. 0, or -errno: -EFBIG above TLS_FILE_MAX, -EINVAL for what is not a regular file, and
 * what kept it from being opened before the sandbox was entered.
 */
int tls_file_read(
	const struct tls_settings *settings, const char *path, struct tls_file *ret);
/* Wipes and frees; takes a zeroed one too. */
void tls_file_done(struct tls_file *file);

/* Whether somebody else than the owner (and root) may read or write the file. */
bool tls_file_shared_with_group(const struct tls_file *file);
bool tls_file_shared_with_others(const struct tls_file *file);
