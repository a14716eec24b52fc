/* `postern --check`: everything a connection would use is looked at, and every fault
 * named. */
#pragma once

#include "edge/settings/settings.h"

/* Where what is found goes. */
struct check_output {
	const struct config *config; /* for the place of a setting; NULL: none is known */
	bool json;
};

/*
 * Prints a fault, or what begins with "warning: ", with the file and the line of the setting that it begins with: on
 * standard error, or as a line of JSON on standard output. `ctx` is a struct check_output.
 */
void check_print(void *ctx, const char *text);

/*
 * Faults go to standard error, a line each. 0, or EX_CONFIG when there are some. `listens`: certificates and keys are
 * read with the rights of a listener, before the process becomes the user of the settings.
 */
int check(struct config *c, bool listens);
