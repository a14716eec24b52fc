/* The settings of a process: files, options, and rules for clients. */
#pragma once

#include "edge/settings/config.h"

/* Where the settings of a process come from. */
struct settings_source {
	const char *file; /* NULL: none */
	bool must_exist; /* the file: it was named on the command line */
	const char *const *overrides; /* "key=value", from the command line */
	size_t n_overrides;
	bool lmtp; /* RFC 2033 in place of SMTP */
	bool with_recipients; /* the table of recipients is opened, too */
};

/*
 * Loads file, overrides, rules for clients and the table of recipients, in this order,
 * into `c`, which config_init() has begun. Faults go to its report. True when there were
 * none.
 */
bool settings_load(struct config *c, const struct settings_source *from);
