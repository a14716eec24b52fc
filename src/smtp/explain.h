/* What went wrong with a session, as one sentence for those who run this host. */
#pragma once

#include "smtp/session.h"

#define EXPLANATION_MAX 240 /* octets; what is longer ends in "..." */

/*
 * Appends a sentence, in printable ASCII without `"` and `\` but for \xHH; nothing when
 * there is nothing to explain. It names whose setting it is: a key of postern.conf(5) in
 * parentheses, or the client.
 */
void explain(const struct session *s, struct buf *to);
