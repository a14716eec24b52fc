/* SPDX-License-Identifier: ISC */
/*
 * The content of a message as DATA and BDAT carry it (RFC 5321 4.5.2, 2.3.8; RFC 3030 2):
 * dots are unstuffed, CRLF becomes LF, and the end is found. Only CRLF.CRLF ends DATA.
 * Surplus CRs directly before CRLF are dropped, as some senders double them; a run of CRs
 * elsewhere becomes one space. A line may have any length.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/span.h"

enum data_at {
	DATA_AFTER_CRLF, /* at the start of a line: a dot here may end the message */
	/* at the start of a line after a bare LF: a dot here cannot end it */
	DATA_AFTER_LF,
	DATA_IN_LINE,
};

struct data {
	enum data_at at;
	/* size of the message by RFC 1870: CRLF counts two, a stuffed dot none */
	uint64_t octets;
	bool bare; /* a bare LF or a stray CR has been seen */
	/* chunks only: the text so far ends with CRs, which are not written yet */
	bool cr;
};

/*
 * Decodes as much of `in` as possible, in place: *ret_text lies in the same memory. True
 * when the end of the content was found; `in` then begins behind it. Otherwise at most
 * two octets are left in `in`. The caller passes them again, followed by new input.
 */
bool data_take(struct data *d, struct bytes *in, struct span *ret_text);

/*
 * Decodes a chunk (RFC 3030 2), in which dots have no meaning: all of `in`, in place.
 * *ret_kept is text of an earlier chunk, and comes before *ret_text.
 */
void data_chunk(
	struct data *d, struct bytes in, struct span *ret_kept, struct span *ret_text);

/* Ends the last chunk: *ret_kept is the rest of the text. */
void data_chunk_end(struct data *d, struct span *ret_kept);

/*
 * Repairs the first line of content, so that readers find the message's own header and
 * body: octets of the client never continue the trace header above them (RFC 5322 2.2.3).
 * It works on decoded content, after the end of data has been decided.
 *
 *   an empty line, or a field  stays as it is
 *   ">*From " (mbox)           gets X-Mailbox-Line: in front; a first line follows
 *   anything else              gets an empty line in front: all of it is body
 *
 *   field = 1*128(%d33-57 / %d59-126) *(SP / HTAB) ":"  (RFC 5322 2.2, 4.5)
 *
 * The name of a field and the blanks behind it have at most FIRST_LINE_HELD_MAX - 1
 * octets; a longer one is "anything else".
 */

#define FIRST_LINE_NAME_MAX 128
#define FIRST_LINE_HELD_MAX 130

struct first_line {
	enum {
		FIRST_LINE_NAME, /* within text that may be the name of a field */
		FIRST_LINE_BLANKS, /* within the blanks behind it */
		FIRST_LINE_CR, /* behind a CR, which only BINARYMIME keeps */
		FIRST_LINE_MAILBOX, /* within a From_ line */
		FIRST_LINE_DONE, /* everything passes */
	} at;
	size_t n; /* octets of the line that have been examined */
	size_t n_angles; /* ">" at its start */
	bool is_from; /* ">*From " is at its start */
	struct span prefix; /* to be returned next, before the held octets; static */
	bool held_out; /* the held octets are returned next */
	size_t n_held;
	char held[FIRST_LINE_HELD_MAX]; /* beginning of the line, from earlier pieces */
};

/*
 * Returns in *ret_piece the next octets to be written, and removes them from `text`, the
 * next piece of content. False when `text` is used up; then nothing is returned. The
 * piece lies in `text`, in `f` or in static memory, and is valid until the next call.
 */
bool first_line_take(struct first_line *f, struct span *text, struct span *ret_piece);

/*
 * Ends the content: first_line_take() with an empty `text` then returns the held octets.
 */
void first_line_end(struct first_line *f);

/* The values that the engine needs from the header of a message (RFC 5322 2.2). */

#define HEADER_NAME_MAX 16 /* enough for "message-id:" and "received:" */
#define MESSAGE_ID_MAX 256

struct header {
	bool done; /* the header has ended */
	size_t n_column; /* octets of the line so far */
	size_t n_received; /* Received: fields, the hops of RFC 5321 6.3 */
	char name[HEADER_NAME_MAX];
	bool in_message_id;
	/* value of the first Message-ID; a longer one is cut */
	char message_id[MESSAGE_ID_MAX];
	size_t n_message_id;
};

/* Reads the next piece of the text. Lines end with LF; pieces may end anywhere. */
void header_watch(struct header *h, struct span text);
