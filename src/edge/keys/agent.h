/* SPDX-License-Identifier: ISC */
/* The loop of one key agent, for agents.c, which starts the processes. */
#pragma once

#include "edge/keys/keys.h"

struct tls_keys;

struct agent;

/* Prepares an agent that accepts channels from `control`. NULL: out of memory. */
struct agent *agent_new(
	const struct tls_api *api, const struct tls_keys *keys, int control);

/*
 * Answers requests until the control and all channels are closed, or a token cannot be
 * used any more: modules of tokens often find one again only in a new process. `fault`:
 * the reason why no pair can be used; or NULL. Returns the exit status.
 */
int agent_run(struct agent *a, const char *fault);
