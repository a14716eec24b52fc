/* The UTF-8 address type of delivery reports (RFC 6533 3). */
#pragma once

#include "base/buf.h"

/*
 * True for a utf-8-addr-xtext, which is ASCII; with `utf8` for a utf-8-addr-unitext or utf-8-address, too.
 * None of what it stands for is a control character.
 */
bool unitext_valid(struct span text, bool utf8);

/* Appends the utf-8-address that a valid text stands for; never longer than the text. */
void unitext_put(struct buf *to, struct span text);
