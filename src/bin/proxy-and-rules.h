/* Who the client is and what holds for it: settled before anything is said. */
#pragma once

#include "edge/settings/settings.h"
#include "edge/net/net.h"
#include "smtp/state.h"

/* for a whole PROXY header, or less: `timeout`. Proxies send it at once. */
#define PROXY_SECONDS 5

/*
 * Reads the file that `clients` names and opens the table that `recipients` names, and
 * tells faults as the settings' are told. True when there was none at all in any.
 */
bool admit_prepare(struct config *c);

/*
 * Reads the PROXY header, where the peer is one that must send it: *peer is then the
 * client. What its rule says of TLS and DSN is put in force in `c`. Returns END_NONE; END_DENIED;
 * or, before it is known who the client is, END_BAD_PROXY, END_PROXY_CHECK (the proxy has closed without an
 * octet) or END_SHUTDOWN. *ret_why is to be said to the client with these.
 */
enum session_end admit_client(struct config *c, struct stream *stream,
	struct session_peer *peer, struct span *ret_why);
