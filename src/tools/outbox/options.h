/* The command line of postern-outbox. */
#pragma once

#include <stdint.h>

#define OUTBOX_RATE_MAX 60000

enum outbox_mode {
	OUTBOX_RUN,
	OUTBOX_HELP,
	OUTBOX_VERSION,
	OUTBOX_USAGE, /* `wrong` was not understood, and `fault` says why */
};

struct outbox_options {
	enum outbox_mode mode;
	const char *directory;
	const char *sendmail; /* absolute */
	uint64_t keep; /* days that what is in rejected/ stays; 0: for ever */
	uint64_t rate; /* reports a minute; 1 to OUTBOX_RATE_MAX */
	const char *wrong, *fault;
};

void outbox_options_parse(int argc, char **argv, struct outbox_options *ret);

extern const char outbox_help[];
