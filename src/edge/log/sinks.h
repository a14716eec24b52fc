/* How each sink takes a record. */
#pragma once

#include "edge/log/log.h"

#define LOG_IDENTIFIER "postern"
#define LOG_FILE_MODE 0640
#define LOG_SYSLOG_SOCKET "/dev/log"

#define LOG_JOURNAL_SOCKET                                                               \
	"/run/systemd/journal/socket" /* sd_journal_send(3): without it, success and no entry */

/* Writes one record; `b` is empty, and has room for its text. 0, or -errno: it could not be written, and is lost. */
int log_sink_write(struct log *l, const struct record *r, struct buf *b);

/*
 * Writes one record to another place than the sink that has just refused one: standard error, or syslog where that is
 * the sink or the connection. `b` as above. 0 or -errno.
 */
int log_sink_write_aside(struct log *l, const struct record *r, struct buf *b);

/*
 * Opens a file of records for writing alone, as a file that can be read, too, could be mapped as code; `make` it where
 * it is missing. A FIFO only while a process reads it: -ENXIO. The descriptor, or -errno. Never waits.
 */
int log_sink_open(const char *file, bool make);

/* Tries whether a sink would take a record, and writes none. 0 or -errno. */
int log_sink_try(enum log_choice sink, const char *file);
