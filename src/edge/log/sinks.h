/* SPDX-License-Identifier: ISC */
/* The functions that the files of the log share: opening a file, and datagrams. */
#pragma once

#include "edge/log/log.h"

#define LOG_FILE_MODE 0640
#define LOG_SYSLOG_SOCKET "/dev/log"
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/*
 * Opens a file of records for writing only, because a file that can also be read could be
 * mapped as code. With `make` a missing file is made. A FIFO that no process reads is an
 * error: -ENXIO. Returns the descriptor, or -errno. Never waits.
 */
int log_sink_open(const char *file, bool make);

/*
 * Opens a datagram socket that is not connected: the sandbox does not allow connect(),
 * because it could connect the client's socket to another address. Sending waits for
 * `milliseconds` at most. A descriptor, or -errno.
 */
int datagram_open(unsigned milliseconds);

/* Sends to the socket at `path`, or at "@name", an abstract address. 0 or -errno. */
int datagram_send(int fd, const char *path, struct span text);

/*
 * Tests whether a process receives datagrams there. Not allowed in the sandbox. 0 or
 * -errno.
 */
int datagram_try(const char *path);
