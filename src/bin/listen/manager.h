/* What a listener tells the service manager: that it is ready, that it lives, how it goes. */
#pragma once

#include "bin/inherit.h"
#include "edge/log/log.h"

#define LISTEN_FOREVER UINT64_MAX

struct listen_manager {
	struct notify notify;
	uint64_t
		watchdog; /* milliseconds between signs of life; 0: nobody waits for them */
	uint64_t alive; /* when the last was given, by stream_clock() */
};

void listen_manager_init(struct listen_manager *m, const struct inherited *inherited);

/* A word of sd_notify(3): "READY=1". */
void listen_manager_say(const struct listen_manager *m, const char *word);

/* Gives a sign of life, where it is due. */
void listen_manager_alive(struct listen_manager *m);

/* Tells the status line, where it is due. Returns in how many milliseconds it will be, or LISTEN_FOREVER. */
uint64_t listen_manager_tell(struct listen_manager *m, const char *status);
