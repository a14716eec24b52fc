/* Datagrams to the daemons of this machine: syslog, the service manager. libc only. */
#pragma once

#include "base/span.h"

/*
 * A socket that is not connected: the sandbox allows no connect(), by which the client's own socket could be
 * pointed elsewhere. Sending waits for `milliseconds` at most. A descriptor, or -errno.
 */
int datagram_open(unsigned milliseconds);

/* To the socket at `path`, or at "@name", which is in no file system. 0 or -errno. */
int datagram_send(int fd, const char *path, struct span text);

/* Whether a process takes datagrams there: outside the sandbox. 0 or -errno. */
int datagram_try(const char *path);
