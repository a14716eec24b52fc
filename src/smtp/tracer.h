/* SPDX-License-Identifier: ISC */
/*
 * The interface that passes the octets of a session to a trace. Without a tracer the
 * engine does no work for it.
 */
#pragma once

#include "base/span.h"

enum traced {
	TRACED_COMMAND,
	TRACED_CONTENT, /* content after DATA, including its end */
	TRACED_CHUNK, /* octets of a chunk */
	TRACED_RESPONSE, /* a response of AUTH: only its length */
};

struct recipient;

struct tracer {
	/* Returns a copy of content before it is decoded in place; {NULL, 0}: none. */
	struct span (*keep)(struct tracer *t, struct bytes in);
	/* Called for each accepted recipient. */
	void (*accepted)(struct tracer *t, const struct recipient *r);
	/*
	 * Called when the session has taken `octets`. `end`: they end a line, content or
	 * chunk.
	 */
	void (*took)(struct tracer *t, enum traced what, struct span octets, bool end);
	/*
	 * A line about a filter, in printable ASCII, while octets are taken: it belongs
	 * behind them.
	 */
	void (*filter)(struct tracer *t, struct span line);
};
