/* SPDX-License-Identifier: ISC */
/*
 * What the files of the log share: how a file is opened, and datagrams.
 */
#pragma once

#include "edge/log/log.h"

#define LOG_FILE_MODE 0640
#define LOG_SYSLOG_SOCKET "/dev/log"
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/*
 * Opens a file of records for writing alone, as a file that can be read, too, could be
 * mapped as code; `make` it where it is missing. A FIFO only while a process reads it:
 * -ENXIO. The descriptor, or -errno. Never waits.
 */
int log_sink_open(const char *file, bool make);

/*
 * Opens a datagram socket that is not connected: the sandbox allows no connect(), by
 * which the client's own socket could be pointed elsewhere. Sending waits for
 * `milliseconds` at most. A descriptor, or -errno.
 */
int datagram_open(unsigned milliseconds);

/* To the socket at `path`, or at "@name", which is in no file system. 0 or -errno. */
int datagram_send(int fd, const char *path, struct span text);

/* Whether a process takes datagrams there: outside the sandbox. 0 or -errno. */
int datagram_try(const char *path);
