/* `postern --check`: everything a connection would use is looked at, and every fault
 * named. */
#pragma once

#include "edge/config.h"

/* Faults go to standard error, a line each. 0, or EX_CONFIG when there are some. */
int check(struct config *c);
