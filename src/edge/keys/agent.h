/* SPDX-License-Identifier: ISC */
/* The loop of one agent. */
#pragma once

#include "edge/keys/keys.h"

struct tls_keys;

struct agent;

/* Prepares an agent that takes channels from `control`. NULL: there is no memory. */
struct agent *agent_new(
	const struct tls_api *api, const struct tls_keys *keys, int control);

/*
 * Answers requests until the control and all channels are closed. `fault`: no pair can be
 * used, for that reason; or NULL. Returns the exit status.
 */
int agent_run(struct agent *a, const char *fault);
