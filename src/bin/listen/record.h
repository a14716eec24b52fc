/* Records of the listener itself: one sentence each, where the settings say, which is seldom needed. */
#pragma once

#include "bin/inherit.h"
#include "edge/settings/settings.h"

struct listen_record {
	const struct inherited *inherited;
	const char *modules; /* their directory */
	const struct config *config; /* NULL: not read yet */
};

/* Writes the record at once, and waits no longer than LOG_STUCK for the sink. */
void listen_record(const struct listen_record *r, const char *text);
