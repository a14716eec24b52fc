/* SPDX-License-Identifier: ISC */
/*
 * The client's address in the PROXY header, and the rule for it, which is applied before
 * the greeting.
 */
#pragma once

#include "edge/settings/settings.h"
#include "edge/net/net.h"
#include "smtp/state.h"

/* seconds for a whole PROXY header, unless `timeout` is less; proxies send it at once */
#define PROXY_SECONDS 5

/*
 * True where no filter is asked about mail of the peer, and it names no other client:
 * known before an octet is read.
 */
bool client_is_unfiltered(const struct config *c, const struct session_peer *peer);

/*
 * Reads the PROXY header where the peer must send one: *peer is then the client. Applies
 * its rule to `c`, where `milters` becomes NULL if no filter is asked about its mail.
 * Returns END_NONE; END_DENIED; or, before the client is known, END_BAD_PROXY,
 * END_PROXY_CHECK (the proxy closed without an octet) or END_SHUTDOWN. *ret_why goes into
 * the reply to the client.
 */
enum session_end client_identify(struct config *c, struct stream *stream,
	struct session_peer *peer, struct span *ret_why);
