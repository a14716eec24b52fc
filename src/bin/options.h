/* The command line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_OVERRIDES_MAX 64

enum options_mode {
	MODE_SERVE,
	MODE_CHECK,
	MODE_PRINT_CONFIG,
	MODE_HELP,
	MODE_VERSION,
	MODE_USAGE, /* not understood */
};

struct options {
	enum options_mode mode;
	const char *file; /* settings file */
	bool file_given;
	bool lmtp; /* RFC 2033 in place of SMTP */
	const char *overrides[OPTIONS_OVERRIDES_MAX];
	size_t n_overrides;
	const char *wrong; /* for MODE_USAGE: what was not understood */
};

void options_parse(int argc, char **argv, struct options *ret);

extern const char options_help[];
