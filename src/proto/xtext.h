/* xtext (RFC 3461 4): text in the value of a parameter. */
#pragma once

#include "base/buf.h"

/* True for xtext that stands for printable US-ASCII (32 to 126), which is all that a report can carry. */
bool xtext_valid(struct span text);

/* Appends what a valid xtext stands for. */
void xtext_put(struct buf *to, struct span text);
