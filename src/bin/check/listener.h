/* `postern --check --listen`: what a listener would meet. */
#pragma once

#include "bin/connection.h"

/* Faults go to standard error, a line each. 0, EX_CONFIG when there are some, or another status of sysexits.h. */
int check_listener(struct connection *c);
