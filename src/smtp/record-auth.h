/* Who has logged in, and who could not, as records tell it. */
#pragma once

#include "base/buf.h"

struct session;

/* Who has logged in, and how. */
void record_put_user(const struct session *s, struct buf *b);
void record_put_mechanism(const struct session *s, struct buf *b);

/* Attempts that failed, so far. */
void record_put_failures(const struct session *s, struct buf *b);

/* Of an attempt that has just come to nothing: what it came to, who it was to be, and how. */
void record_put_auth_outcome(const struct session *s, struct buf *b);
void record_put_auth_user(const struct session *s, struct buf *b);
void record_put_auth_mechanism(const struct session *s, struct buf *b);
