/* SPDX-License-Identifier: ISC */
/* The observer of a session's octets, for traces. Without one the engine does no work. */
#pragma once

#include "base/span.h"

enum traced {
	TRACED_COMMAND,
	TRACED_CONTENT, /* after DATA, with its end */
	TRACED_CHUNK, /* after BDAT */
	TRACED_RESPONSE, /* after a challenge: its length only */
};

struct recipient;

struct tracer {
	/* A copy of content that is about to be decoded in place; {NULL, 0}: none. */
	struct span (*keep)(struct tracer *t, struct bytes in);
	/* A recipient was accepted. */
	void (*accepted)(struct tracer *t, const struct recipient *r);
	/* The session has taken `octets`; `end`: to the end of line, content or chunk. */
	void (*took)(struct tracer *t, enum traced what, struct span octets, bool end);
};
