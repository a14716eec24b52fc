/* SPDX-License-Identifier: ISC */
/* Serves one client, from its greeting to the end of the connection. */
#pragma once

#include "bin/connection.h"

/* for a TLS handshake; `timeout` holds for each wait inside */
#define HANDSHAKE_SECONDS 60

/* The time, in both ways. */
struct moment moment_now(void);

/* Serves a session that has been set up until its end; its records are written then. */
void serve(struct connection *c);

/*
 * Sets up the session with the client on descriptors 0 and 1 and serves it, or refuses
 * it. The exit status. `peer` is the address of the client; NULL: it is found here.
 */
int serve_client(struct connection *c, const struct session_peer *peer);

/*
 * Prepares the connection that the process inherited, enters the sandbox, and serves its
 * client. The exit status.
 */
int serve_inherited(struct connection *c);
