/* SPDX-License-Identifier: ISC */
/* Serves one client, from its greeting to the end of the connection. */
#pragma once

#include "bin/connection.h"

/* seconds for a TLS handshake, in which `timeout` applies to each wait */
#define HANDSHAKE_SECONDS 60

/* Returns the time of both clocks. */
struct moment moment_now(void);

/* Serves a session that has been set up until its end, and writes its records. */
void serve(struct connection *c);

/*
 * Sets up the session with the client on descriptors 0 and 1, and serves or refuses it.
 * Returns the exit status. `peer` is the address of the client; NULL: it is found here.
 */
int serve_client(struct connection *c, const struct session_peer *peer);

/*
 * Prepares the connection that the process inherited, enters the sandbox, and serves its
 * client. Returns the exit status.
 */
int serve_inherited(struct connection *c);
