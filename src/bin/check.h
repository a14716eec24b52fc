/* `postern --check`: everything a connection would use is looked at, and every fault
 * named. */
#pragma once

#include "edge/config.h"

/*
 * Faults go to standard error, a line each. 0, or EX_CONFIG when there are some. `listens`: certificates and keys are
 * read with the rights of a listener, before the process becomes the user of the settings.
 */
int check(struct config *c, bool listens);
