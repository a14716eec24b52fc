/* Which process listens at an address, as far as /proc shows it to this user. */
#pragma once

#include <sys/socket.h>
#include "base/buf.h"

/* Why the socket could not be bound: `error` in the system's words, the process that holds the address, and what to do. */
void holder_put_fault(struct buf *to, const struct sockaddr *address, int error);
