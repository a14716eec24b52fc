/* Who watches a session, octet by octet. Without one the engine spends nothing on it. */
#pragma once

#include "base/span.h"

enum traced {
	TRACED_COMMAND,
	TRACED_CONTENT, /* behind DATA, with its end */
	TRACED_CHUNK, /* behind BDAT */
	TRACED_RESPONSE, /* behind a challenge: how long it was, and no more */
};

struct recipient;

struct tracer {
	/*
	 * A copy of content that is about to be decoded in place; {NULL, 0}: it stays
	 * unseen.
	 */
	struct span (*keep)(struct tracer *t, struct bytes in);
	/* A recipient was accepted. */
	void (*accepted)(struct tracer *t, const struct recipient *r);
	/*
	 * The session has taken these; `end`: to the end of the line, the content or the
	 * chunk.
	 */
	void (*took)(struct tracer *t, enum traced what, struct span octets, bool end);
};
