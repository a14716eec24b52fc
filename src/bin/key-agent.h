/* SPDX-License-Identifier: ISC */
/*
 * `postern --key-agent`: keeps the private keys for processes for one connection. It
 * accepts channels at a socket, and hands each one over to a process that signs, as a
 * listener does.
 */
#pragma once

#include "bin/inherit.h"
#include "bin/options.h"

/* Runs until a signal ends it. Returns its exit status. */
int key_agent_run(const struct options *options, const struct inherited *inherited);
