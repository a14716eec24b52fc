/* SPDX-License-Identifier: ISC */
/*
 * The sinks of records: tests whether one works, and describes its fault, for `--check`
 * and for the record of a failure.
 */
#include "edge/log/sinks.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"

#define ROOM_TRIED 4096 /* octets that a record may need in a file system */

int log_sink_open(const char *file, bool make)
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	return file_open_written(file, flags | (make ? O_CREAT : 0), LOG_FILE_MODE);
}

/*
 * Tries to allocate space for a record after the end of the file, which later records
 * use.
 */
static int try_room(int fd)
{
	struct statvfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return write(fd, "", 0) < 0 ? -errno
					    : 0; /* /dev/full refuses this, too */
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, ROOM_TRIED) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	return fstatvfs(fd, &fs) == 0 && fs.f_bavail == 0 ? -ENOSPC : 0;
}

int log_sink_try(enum log_choice sink, const char *file)
{
	OWNED_FD int fd = -1;

	switch (sink) {
	case LOG_SYSLOG_LINES:
		return datagram_try(LOG_SYSLOG_SOCKET);
	case LOG_JOURNAL:
		return datagram_try(LOG_JOURNAL_SOCKET);
	case LOG_JSON:
		fd = log_sink_open(file, false);
		return fd < 0 ? fd : try_room(fd);
	default:
		return 0;
	}
}

/* Appends the fault of a file of records. */
static void put_file_fault(struct buf *to, const char *path, int error)
{
	OWNED char *copy = NULL;

	if (error == ENOSPC || error == EDQUOT || error == ENXIO || error == EPIPE ||
		error == EAGAIN) {
		buf_put_str(to, strerror(error));
		buf_put_str(to, error == ENOSPC || error == EDQUOT
					? "; records are lost until there is space"
					: "; let a process read this FIFO");
		return;
	}
	if (error != ELOOP && error != FILE_IS_TRAP && access(path, F_OK) < 0)
		copy = strdup(path);
	if (copy)
		file_put_directory_fault(to, dirname(copy), error);
	else
		file_put_fault(to, path, error, FILE_WRITTEN);
}

/*
 * Returns the text of an error. An interrupted call has waited for LOG_STUCK
 * milliseconds.
 */
static const char *words_of(int error)
{
	return error == EINTR || error == EAGAIN ? "no record was taken within a second"
						 : strerror(error);
}

void log_put_fault(struct buf *to, enum log_choice sink, const char *file, int error)
{
	static const struct {
		const char *place, *cure;
	} sinks[] = {
		[LOG_STDERR] = { "standard error",
			"; let a process read it, or set log" },
		[LOG_SYSLOG_LINES] = { LOG_SYSLOG_SOCKET,
			"; start a syslog daemon, such as rsyslog, or set log" },
		[LOG_JOURNAL] = { LOG_JOURNAL_SOCKET,
			"; start systemd-journald, or set log" },
	};

	buf_put_str(to, sink == LOG_JSON ? file : sinks[sink].place);
	buf_put(to, SPAN(": "));
	if (sink == LOG_JSON) {
		put_file_fault(to, file, -error);
		return;
	}
	buf_put_str(to, words_of(-error));
	buf_put_str(to, sinks[sink].cure);
}
