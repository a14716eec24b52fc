/* SPDX-License-Identifier: ISC */
/*
 * Files that settings name: opened by a path that may be trusted, read whole. And files
 * that are complete before they have a name.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/buf.h"

#define FILE_IS_CHANNEL ESPIPE /* an error: it is a FIFO or a socket */
/* an error: it may be another user's trap, and is no plain file */
#define FILE_IS_TRAP EMLINK
/* an error of a directory: its file system takes no files at all */
#define FILE_IS_TAKEN_NOWHERE EOPNOTSUPP

/*
 * Reads all of a text file of at most `max` octets, but for a byte order mark; *ret_text
 * is owned by the caller, and has room for one octet more. Its length, or -errno; -EFBIG
 * when it is larger. Never waits: a FIFO or a socket is an error.
 */
ssize_t file_read(const char *path, size_t max, char **ret_text);

/* The same of a file that is open, with every octet of it. */
ssize_t file_read_open(int fd, size_t max, char **ret_text);

enum file_use {
	FILE_READ,
	FILE_SECRET, /* read, by one user alone */
	FILE_WRITTEN,
};

/*
 * Why a file cannot be used: `error` in the system's words, and what to do about it, as
 * far as the process can see with its present rights.
 */
void file_put_fault(struct buf *to, const char *path, int error, enum file_use use);

/* The same for a directory below which mail is written. */
void file_put_directory_fault(struct buf *to, const char *path, int error);

/* The second part of that alone: what to do, behind "; " or ": "; empty if unknown. */
void file_put_directory_cure(struct buf *to, const char *path, int error);

/* Names a directory above it that is closed to this user, and a cure; else empty. */
void file_put_closed(struct buf *to, const char *path);

/*
 * Opens what is there, as open(2) does, but follows a symbolic link, wherever in the
 * path, only where file_link_is_trusted(): -ELOOP. Root also opens no file with several
 * names where another user can change a directory of the path: -FILE_IS_TRAP. The
 * descriptor, or -errno.
 */
int file_open(const char *path, int flags);

/* The same of a directory, for reading. */
int file_open_directory(const char *path);

/*
 * True where the directory shows the kernel, as /proc and /sys do: nothing can be stored
 * there, by root neither.
 */
bool file_system_takes_none(int dir);

/*
 * Opens a file that is written, or makes it with `mode`, by the same rule where this is
 * root. Then also where another user can change a directory of the path it must be a
 * plain file with one name: -FILE_IS_TRAP.
 */
int file_open_written(const char *path, int flags, mode_t mode);

/*
 * Opens the directory that a path's last component is in, by O_PATH and the same rule;
 * *ret_name is that component, and *ret_is_open says whether another user can change a
 * name in it or a directory above. The descriptor, or -errno.
 */
int file_open_above(const char *path, const char **ret_name, bool *ret_is_open);

/*
 * True when only root or the user of this process can change the link or what stands in
 * its place: they own it and the directory that it is in, to which no others may write,
 * or which has the sticky bit.
 */
bool file_link_is_trusted(const struct stat *dir, const struct stat *link);

/* True where a file system cannot make a file without a name (open(2), O_TMPFILE). */
bool file_needs_name(int error);

/* Names a file that has no name, and overwrites none. 0 or -errno. */
int file_link_nameless(int fd, int dir, const char *name);

/* The name by which this process can open a descriptor again. */
#define FILE_PROC_MAX 32 /* "/proc/self/fd/" and an int */
void file_proc_path(char path[static FILE_PROC_MAX], int fd);

/*
 * Moves a file, on any file system, and overwrites none; where that is by links it may
 * have both names if the process is killed. 0 or -errno.
 */
int file_move(int from, const char *name, int to, const char *as);

/*
 * Files that systemd's LoadCredential= puts in place, "credential:NAME" in settings.
 * Where the file that the unit names is missing, systemd puts the text of SetCredential=
 * there: "missing: " and the path of that file.
 */

#define CREDENTIAL_PREFIX "credential:"
#define CREDENTIAL_MISSING "missing: "
#define CREDENTIAL_FAULT_MAX 320 /* a sentence */

/* True when the path is still "credential:NAME": the process has no credentials. */
bool credential_is_unset(const char *path);

/* True when the content of a file is the placeholder that SetCredential= puts there. */
bool credential_is_placeholder(struct span content);

/* What is wrong with a file that is unset or a placeholder, and what to do. */
void credential_put_fault(struct buf *to, const char *path, struct span content);
