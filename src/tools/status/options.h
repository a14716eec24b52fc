/* The command line of postern-status. */
#pragma once

#include "tools/status/source.h"

#define STATUS_FILES_GIVEN_MAX 64
#define STATUS_MOST_MAX 1000000000 /* of -n */
#define STATUS_LIST_DEFAULT 20 /* records of a table, without -n and --since */
#define STATUS_WINDOW_DEFAULT 3600 /* seconds that the panel counts */

enum status_mode {
	STATUS_MODE_PANEL,
	STATUS_MODE_TABLE,
	STATUS_MODE_JSON,
	STATUS_MODE_METRICS,
	STATUS_MODE_HEALTH, /* one line, and the exit status */
	STATUS_MODE_HELP,
	STATUS_MODE_VERSION,
	STATUS_MODE_USAGE, /* `wrong` was not understood, and `fault` says why */
};

struct status_options {
	enum status_mode mode;
	const char *settings; /* file; the default one is not given */
	/* of JSON Lines; none: as the settings say */
	const char *files[STATUS_FILES_GIVEN_MAX];
	size_t n_files;
	const char *directory; /* of a journal; NULL: of this machine */
	struct status_filter filter;
	const char *peer; /* as it was given, or NULL */
	const char *since; /* as it was given, or NULL */
	const char *totals; /* file of counters, or NULL */
	size_t most; /* 0: not given */
	bool follow;
	bool json; /* was asked for */
	bool metrics;
	const char *wrong, *fault;
};

/* `now`: seconds since 1970, to know a --since that makes no sense. */
void status_options_parse(int argc, char **argv, int64_t now, struct status_options *ret);

extern const char status_help[];
