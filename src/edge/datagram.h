/* Datagrams to the daemons of this machine: syslog, the service manager. libc only. */
#pragma once

#include "base/span.h"

/*
 * A socket that is connected to the one at `path`, or to "@name", which is in no file system. Sending waits for
 * `milliseconds` at most. A descriptor, or -errno.
 */
int datagram_open(const char *path, unsigned milliseconds);

/* 0 or -errno. */
int datagram_send(int fd, struct span text);
