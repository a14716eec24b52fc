/* Text of a stranger made fit to be shown, in replies, records and header fields. */
#pragma once

#include "base/buf.h"

/*
 * Appends at most `max` octets: printable ASCII as it is but for `"` and `\`, all else as
 * \xHH. What is longer ends in "...". `max` is at least 8.
 */
void text_escape(struct buf *to, struct span text, size_t max);

/* The same, and `<` and `>` as \xHH too: what stands between these is then one path. */
void text_escape_path(struct buf *to, struct span mailbox, size_t max);
