/* The recipients of a message, as its record has them. */
#pragma once

#include "base/buf.h"

struct session;

/* "<user@example.net>": no path ends before its end, nor does a list of them. */
void record_put_path(struct span mailbox, struct buf *b);

/* Their addresses, as far as RECORD_LIST_MAX goes. */
void record_put_to(const struct session *s, struct buf *b);
/* The first TX_REFUSED_MAX of those that were refused; "..." stands for the others. */
void record_put_refused_to(const struct session *s, struct buf *b);

/* The number of recipients that record_put_to() tells of. */
void record_put_recipients(const struct session *s, struct buf *b);
