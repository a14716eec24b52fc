/* SPDX-License-Identifier: ISC */
/* The command line: a mode, the sources of settings, and addresses of sockets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "proto/conf.h"

#define OPTIONS_OVERRIDES_MAX 64
#define OPTIONS_OF_KIND_MAX 2
#define OPTIONS_ADDRESSES_MAX 16

enum options_mode {
	MODE_SERVE,
	MODE_LISTEN,
	MODE_KEY_AGENT,
	MODE_CHECK,
	MODE_PRINT_CONFIG,
	MODE_HELP,
	MODE_VERSION,
	MODE_USAGE, /* the command line is wrong */
};

struct options {
	enum options_mode mode;
	const char *file; /* settings file */
	bool file_given;
	bool json; /* --check: faults as JSON Lines */
	bool lmtp; /* RFC 2033 in place of SMTP */
	bool listens; /* --listen, alone or with --check */
	/* with room for those of a kind of listening socket (listen_put_options()) */
	const char *overrides[OPTIONS_OVERRIDES_MAX + OPTIONS_OF_KIND_MAX];
	size_t n_overrides;
	/* addresses of sockets to be opened */
	const char *addresses[OPTIONS_ADDRESSES_MAX];
	size_t n_addresses;
	const char *wrong, *why; /* MODE_USAGE: the word, and its fault */
	char meant[CONF_MEANT_MAX]; /* the option that was probably meant; or empty */
};

void options_parse(int argc, char **argv, struct options *ret);

struct settings_source;

/* Sets where the settings come from; the table of recipients is not among it. */
void options_source(const struct options *o, struct settings_source *ret);

extern const char options_help[];
