/* SPDX-License-Identifier: ISC */
/* A listener on a port of 127.0.0.1, without settings and without limits. */
#pragma once

int listen_on(const char *port);

/* Forks for each connection, and returns in the children alone, with it as descriptors 0 and 1. */
void fork_for_each(const char *port);
