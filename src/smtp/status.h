/* What a session is doing, as a line for whoever looks while it lives: systemctl status. */
#pragma once

#include "base/buf.h"

#define STATUS_MAX 512

struct session;

/* "Receiving a message: 192.0.2.7 (client.example.net), TLS1.3, 2 messages delivered" */
void status_put(const struct session *s, struct buf *to);
