/* SPDX-License-Identifier: ISC */
/*
 * Files that settings name. They are opened only by trusted paths, and read as a whole.
 * The last functions are for files that are complete before they have a name.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/buf.h"

#define FILE_IS_CHANNEL ESPIPE /* error: the file is a FIFO or a socket */
/* error: the file is not a plain file, and may be a trap of another user */
#define FILE_IS_TRAP EMLINK
/* error of a directory: no files can be made in its file system */
#define FILE_IS_TAKEN_NOWHERE EOPNOTSUPP

/*
 * Reads a text file of at most `max` octets, without a byte order mark. The caller owns
 * *ret_text, which has room for one more octet. Returns its length, or -errno; -EFBIG for
 * a larger file. Never waits: a FIFO or a socket is an error.
 */
ssize_t file_read(const char *path, size_t max, char **ret_text);

/* Like file_read(), for an open file, and with all of its octets. */
ssize_t file_read_open(int fd, size_t max, char **ret_text);

enum file_use {
	FILE_READ,
	FILE_SECRET, /* the file is read, and is secret */
	FILE_WRITTEN,
};

/*
 * Appends why a file cannot be used: the text of `error`, and a cure, as far as the
 * process can find one with its present rights.
 */
void file_put_fault(struct buf *to, const char *path, int error, enum file_use use);

/* Like file_put_fault(), for a directory below which mail is written. */
void file_put_directory_fault(struct buf *to, const char *path, int error);

/*
 * Appends only the cure of file_put_directory_fault(), after "; " or ": "; nothing if
 * none is known.
 */
void file_put_directory_cure(struct buf *to, const char *path, int error);

/*
 * Appends the name of a parent directory that this user cannot enter, and a cure; or
 * nothing.
 */
void file_put_closed(struct buf *to, const char *path);

/*
 * Opens an existing file, as open(2) does. A symbolic link in the path is followed only
 * if file_link_is_trusted(); otherwise -ELOOP. If this is root and another user can
 * change a directory of the path, a file with several names is not opened: -FILE_IS_TRAP.
 * Returns the descriptor, or -errno.
 */
int file_open(const char *path, int flags);

/* Like file_open(), for reading a directory. */
int file_open_directory(const char *path);

/*
 * True for a directory of a file system of the kernel, such as /proc and /sys, in which
 * even root cannot store files.
 */
bool file_system_takes_none(int dir);

/*
 * Opens a file for writing, or makes it with `mode`, by the rules of file_open() if this
 * is root. If, in addition, another user can change a directory of the path, the file
 * must be a plain file with one name: otherwise -FILE_IS_TRAP.
 */
int file_open_written(const char *path, int flags, mode_t mode);

/*
 * Opens the parent directory of a path with O_PATH, by the rules of file_open().
 * *ret_name is the last component. *ret_is_open: another user can change a name in this
 * directory, or a directory above it. Returns the descriptor, or -errno.
 */
int file_open_above(const char *path, const char **ret_name, bool *ret_is_open);

/*
 * True when only root or the user of this process can change or replace the link: one of
 * them owns the link and its directory, and the directory has the sticky bit or is not
 * writable for other users.
 */
bool file_link_is_trusted(const struct stat *dir, const struct stat *link);

/*
 * True for the error of a file system that cannot make a file without a name (open(2),
 * O_TMPFILE).
 */
bool file_needs_name(int error);

/* Gives a name to a file that has none. Never overwrites a file. 0 or -errno. */
int file_link_nameless(int fd, int dir, const char *name);

/* The same for a process that does not have the right to do it in one call. */
int file_link_by_proc(int fd, int dir, const char *name);

/* Writes the name by which this process can open a descriptor again. */
#define FILE_PROC_MAX 32 /* "/proc/self/fd/" and an int */
void file_proc_path(char path[static FILE_PROC_MAX], int fd);

/*
 * Moves a file, on any file system. Never overwrites a file. On file systems where this
 * needs links, the file may have both names if the process is killed. 0 or -errno.
 */
int file_move(int from, const char *name, int to, const char *as);

/*
 * Credentials: files that systemd provides by LoadCredential=, "credential:NAME" in
 * settings. If the file that the unit names is missing, the credential is the text of
 * SetCredential=: "missing: " and the path of that file.
 */

#define CREDENTIAL_PREFIX "credential:"
#define CREDENTIAL_MISSING "missing: "
#define CREDENTIAL_FAULT_MAX 320 /* octets of a sentence */

/* True when the path is still "credential:NAME": the process has no credentials. */
bool credential_is_unset(const char *path);

/* True when the content of a file is the placeholder that SetCredential= puts there. */
bool credential_is_placeholder(struct span content);

/* Appends the fault of a credential that is unset or a placeholder, and a cure. */
void credential_put_fault(struct buf *to, const char *path, struct span content);
