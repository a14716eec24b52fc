/* Tells the service manager what we are doing: STATUS= of sd_notify(3). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

#define NOTIFY_TEXT_MAX 512
/* Milliseconds between two lines, and before the first: nobody reads a shorter session's. */
#define NOTIFY_INTERVAL 1000

struct notify {
	const char *socket; /* $NOTIFY_SOCKET, or NULL: nobody wants to know */
	uint64_t last; /* when it was told, by stream_clock(); or when we began */
	char told[NOTIFY_TEXT_MAX];
};

void notify_init(struct notify *n, const char *socket, uint64_t now);

/* True when that line is news to somebody. */
bool notify_is_news(const struct notify *n, const char *text);

/* Sends lines of sd_notify(3) without waiting; they may get lost. */
void notify_send(const struct notify *n, struct span lines);

/* STATUS=, in the same way. */
void notify_status(struct notify *n, const char *text, uint64_t now);
