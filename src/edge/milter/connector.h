/* SPDX-License-Identifier: ISC */
/* The process that makes sockets for the connections of a listener, and what they get. */
#pragma once

#include "edge/milter/parts.h"

/* As struct milter_api has it. */
int connector_run(const struct connector_task *task);

/* Sets the fault of all filters: the channel to the connector could not be made. */
void connector_lost(struct filters_state *m);

/* Milliseconds after which it has sent the sockets, unless it hangs. */
unsigned connector_time(const struct filters_state *m);

/*
 * Takes the sockets from the channel of this connection, and waits that many milliseconds
 * for them. After that, or where there are none, filters have a fault. Does nothing where
 * the channel is closed.
 */
void connector_take(struct filters_state *m, unsigned wait);
