/* The state as one line and an exit status, for monitors and scripts. */
#pragma once

#include "tools/status/panel.h"

/* As monitors have it: what is worse is greater. */
enum status_health {
	HEALTH_OK,
	HEALTH_WARNING, /* mail is received, and something is to be done */
	HEALTH_CRITICAL,
};

/* Prints the line. `error` is -errno where no records could be read, else 0. */
enum status_health status_health_put(
	const struct status_panel *panel, int error, const struct status_view *v);
