/*
 * Clients that have been refused and whose connection is still open. Closing a socket with unread input resets
 * the connection, and the client may lose the reply; so the input is read and dropped, within limits, while
 * other clients are served.
 */
#pragma once

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#define LINGERING_MAX 32 /* at once; one more closes the oldest */
#define LINGERING_TIME 2000 /* milliseconds for each */
#define LINGERING_OCTETS (64 * 1024) /* read from each */

struct lingering {
	struct lingering_client {
		int fd;
		uint64_t until; /* by stream_clock() */
		size_t left; /* octets */
	} list[LINGERING_MAX]; /* the oldest first */
	size_t n;
};

/* Owns `fd` from here on, and gives it a number of at least `from`. The reply has been sent. */
void lingering_add(struct lingering *l, int fd, int from);

/* Fills in what poll() waits for; `n` entries. */
void lingering_prepare(const struct lingering *l, struct pollfd *fds);

/* Reads once from each that is ready in `fds`, and closes those that have come to an end. Never waits. */
void lingering_read(struct lingering *l, const struct pollfd *fds);

/* In how many milliseconds the oldest is to be closed; negative: there is none. */
int lingering_wait(const struct lingering *l);

void lingering_close_all(struct lingering *l);
