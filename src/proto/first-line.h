/*
 * Repairs the first line of content, so that readers find the message's own header and body: octets of the
 * client never continue the trace header that stands above them (RFC 5322 2.2.3). It works on decoded content,
 * after the end of data has been decided.
 *
 *   an empty line, or a field      stays as it is
 *   ">*From " (mbox)               gets X-Mailbox-Line: in front; the next line is judged as a first line
 *   anything else                  gets an empty line in front: all of it is body
 *
 *   field = 1*128(%d33-57 / %d59-126) *(SP / HTAB) ":"      (RFC 5322 2.2, 4.5)
 *
 * The name of a field and the blanks behind it have at most FIRST_LINE_HELD_MAX - 1 octets; what is longer is
 * "anything else".
 */
#pragma once

#include <stdbool.h>
#include "base/span.h"

#define FIRST_LINE_NAME_MAX 128
#define FIRST_LINE_HELD_MAX 130

struct first_line {
	enum {
		FIRST_LINE_NAME, /* within what may be the name of a field */
		FIRST_LINE_BLANKS, /* within the blanks behind it */
		FIRST_LINE_CR, /* behind a CR, which only BINARYMIME keeps */
		FIRST_LINE_MAILBOX, /* within a From_ line */
		FIRST_LINE_DONE, /* everything passes */
	} at;
	size_t n; /* octets of the line judged so far */
	size_t n_angles; /* ">" at its start */
	bool is_from; /* ">*From " is at its start */
	struct span prefix; /* to be returned next, before the held octets; static */
	bool held_out; /* the held octets are to be returned */
	size_t n_held;
	char held[FIRST_LINE_HELD_MAX]; /* of the line, from earlier pieces */
};

/*
 * Returns in *ret_piece the next octets to be written, and takes them from `text`, which is the next piece of
 * content. False when `text` is used up; then nothing is returned. The piece lies in `text`, in `f` or in
 * static memory, and is valid until the next call.
 */
bool first_line_take(struct first_line *f, struct span *text, struct span *ret_piece);

/* The content has ended: what is held is decided, and first_line_take() returns it for an empty `text`. */
void first_line_end(struct first_line *f);
