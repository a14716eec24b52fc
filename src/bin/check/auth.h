/* What `postern --check` says of the tables of users. */
#pragma once

#include "edge/settings/settings.h"

/*
 * Looks at the files that settings of AUTH name, with the rights of the moment: a
 * connection opens them before it becomes `user`. Each fault is told to `fault`, and
 * names setting, file and line.
 */
void check_auth(
	const struct config *c, void (*fault)(void *ctx, const char *text), void *ctx);
