/* SPDX-License-Identifier: ISC */
/*
 * `postern --key-agent`: has the private keys for processes that serve one connection
 * each. It accepts at a socket, and hands each channel over to one of the processes that
 * sign, which a listener has, too.
 */
#pragma once

#include "bin/inherit.h"
#include "bin/options.h"

/* Runs until a signal ends it. Returns its exit status. */
int key_agent_run(const struct options *options, const struct inherited *inherited);
