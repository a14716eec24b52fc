/* SPDX-License-Identifier: ISC */
/*
 * A connection's access to the key agent, and stop signals while it waits for another
 * process.
 */
#include <errno.h>
#include <unistd.h>
#include "bin/connection.h"
#include "bin/preload.h"
#include "edge/keys/keys.h"

struct keys *connection_keys(struct connection *c)
{
	if (c->preload)
		return c->preload->keys;
	return c->config.tls.agent ? &c->agent : NULL;
}

void connection_close_keys(struct connection *c)
{
	struct keys *keys = connection_keys(c);

	if (!keys || keys->channel < 0)
		return;
	close(keys->channel);
	keys->channel = -ECONNRESET;
}

void connection_heed_signals(struct connection *c)
{
	struct keys *keys = connection_keys(c);

	c->broker.signals = c->stream.signals;
	if (keys)
		keys->signals = c->stream.signals;
}
