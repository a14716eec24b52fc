/* SPDX-License-Identifier: ISC */
/*
 * `postern --check`: reads everything that a connection, or a listener, would use, and
 * reports all faults.
 */
#pragma once

#include "edge/settings/settings.h"

struct connection;

/* Where faults and warnings are printed. */
struct check_output {
	/* to find the place of a setting; NULL: places are unknown */
	const struct config *config;
	bool json;
};

/*
 * Prints a fault, or a text that begins with "warning: " or "note: ", with the file and
 * the line of the setting that it begins with: on standard error, or as a line of JSON on
 * standard output. `ctx` is a struct check_output.
 */
void check_print(void *ctx, const char *text);

/*
 * Checks what one connection uses. Faults go to the report of `c`. 0, or EX_CONFIG when
 * there are some.
 */
int check(struct config *c);

/*
 * Checks what a listener with these options uses, for each kind of socket that it would
 * have. 0, EX_CONFIG, or another status of sysexits.h.
 */
int check_listener(struct connection *c);
