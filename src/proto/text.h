/* SPDX-License-Identifier: ISC */
/* Encodings of text: escapes for output, UTF-8, xtext, unitext and base64. */
#pragma once

#include <stdbool.h>
#include "base/buf.h"
#include "base/span.h"

/*
 * Appends text for replies, records and header fields, at most `max` octets: printable
 * ASCII as it is except `"` and `\`, all else as \xHH. Longer text is cut and ends in
 * "...". `max` is at least 8.
 */
void text_escape(struct buf *to, struct span text, size_t max);

/*
 * Like text_escape(), and `<` and `>` become \xHH, so that the result can stand between
 * these characters.
 */
void text_escape_path(struct buf *to, struct span mailbox, size_t max);

/*
 * Returns the octets (1 to 4) of the UTF-8 character at the start of `s`, which is not
 * empty (RFC 3629 4); 0: malformed.
 */
size_t utf8_length(struct span s);

/* True when `s` consists of well-formed characters, or is empty. */
bool utf8_valid(struct span s);

/* True when no octet is above 127. */
bool utf8_is_ascii(struct span s);

/* True for printable ASCII, which includes the space. */
bool text_is_printable(struct span s);

/*
 * ftext = %d33-57 / %d59-126 (RFC 5322 3.6.8): returns the octets of a field name at the
 * start.
 */
size_t text_field_name(struct span line);

/*
 * Returns the octets (2 to 4) of a UTF8-non-ascii character (RFC 6532 3.1) at the start
 * of `s`. RFC 6531 3.3 allows these in addresses and in values of parameters. 0: the
 * character is ASCII, malformed, or one of the control characters U+0080 to U+009F, which
 * neither may contain.
 */
size_t utf8_non_ascii(struct span s);

/*
 * True for xtext (RFC 3461 4), a text in the value of a parameter, that encodes printable
 * ASCII (32 to 126). A report can carry no other characters.
 */
bool xtext_valid(struct span text);

/* Appends the decoded text of a valid xtext. */
void xtext_put(struct buf *to, struct span text);

/*
 * The UTF-8 address type of delivery reports (RFC 6533 3). True for a utf-8-addr-xtext,
 * which is ASCII; with `utf8` also for a utf-8-addr-unitext or utf-8-address. The decoded
 * text has no control characters.
 */
bool unitext_valid(struct span text, bool utf8);

/* Appends the utf-8-address of a valid text; it is never longer than the text. */
void unitext_put(struct buf *to, struct span text);

/* Appends `octets` in base64 (RFC 4648 4), as AUTH sends them. */
void base64_put(struct buf *to, struct span octets);

/*
 * Appends the decoded octets of base64. False for a character outside the alphabet (RFC
 * 4648 3.3), padding that is missing or out of place (3.2), or pad bits that are not zero
 * (3.5); some octets may have been appended then.
 */
bool base64_take(struct span text, struct buf *ret);
