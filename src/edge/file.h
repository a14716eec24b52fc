/* A small file as one piece of memory. */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/buf.h"

#define FILE_IS_CHANNEL ESPIPE /* an error: it is a FIFO or a socket */

/*
 * Reads all of a text file of at most `max` octets, but for a byte order mark; *ret_text is owned by the caller,
 * and has room for one octet more. Its length, or -errno; -EFBIG when it is larger. Never waits: a FIFO or a socket
 * is an error.
 */
ssize_t file_read(const char *path, size_t max, char **ret_text);
enum file_use {
	FILE_READ,
	FILE_SECRET, /* read, by one user alone */
	FILE_WRITTEN,
};

/* Why a file cannot be used: `error` in the system's words, and what to do. With the rights that the process has then. */
void file_put_fault(struct buf *to, const char *path, int error, enum file_use use);

/*
 * Why mail cannot be written below a directory: `error` in the system's words, and what to do. With the rights that
 * the process has then.
 */
void file_put_directory_fault(struct buf *to, const char *path, int error);

/*
 * Opens a directory for reading. A symbolic link in its place is followed where it and the directory that it is in
 * belong to root or to the user of this process and no others may write to that directory; else it is no directory.
 * The descriptor, or -errno.
 */
int file_open_directory(const char *path);

/*
 * True when only root or the user of this process can change the link or what stands in its place: both own it and
 * the directory that it is in, to which no others may write.
 */
bool file_link_is_trusted(const struct stat *dir, const struct stat *link);

/* The same of a file that is open, with every octet of it. */
ssize_t file_read_open(int fd, size_t max, char **ret_text);
