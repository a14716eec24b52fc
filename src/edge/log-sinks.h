/* How each sink takes a record. */
#pragma once

#include "edge/log.h"

#define LOG_IDENTIFIER "postern"
#define LOG_SYSLOG_SOCKET "/dev/log"

/* Writes one record; `b` is empty, and has room for its text. False when it could not be written, and is lost. */
bool log_sink_write(struct log *l, const struct record *r, struct buf *b);
