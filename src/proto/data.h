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
	DATA_AFTER_LF, /* at the start of a line that a bare LF began: it may not */
	DATA_IN_LINE,
};

struct data {
	enum data_at at;
	/* of the message, as RFC 1870 counts them: CRLF is two, stuffed dots none */
	uint64_t octets;
	bool bare; /* a bare LF or a stray CR has been seen */
	bool cr; /* of chunks: the text so far ends with CRs, which are not yet written */
};

/*
 * Decodes in place what can be decoded of `in`; *ret_text is the result and lies in the
 * same memory. True when the end was found: `in` is then what follows it. Otherwise at
 * most two octets are left in `in`, to be passed again with more behind them.
 */
bool data_take(struct data *d, struct bytes *in, struct span *ret_text);

/*
 * The same for chunks (RFC 3030 2), where dots have no meaning: decodes all of `in` in
 * place. *ret_kept comes before *ret_text, and does not lie in `in`.
 */
void data_chunk(
	struct data *d, struct bytes in, struct span *ret_kept, struct span *ret_text);

/* After the last chunk: *ret_kept is the rest of the text. */
void data_chunk_end(struct data *d, struct span *ret_kept);

/*
 * Repairs the first line of content, so that readers find the message's own header and
 * body: octets of the client never continue the trace header that stands above them (RFC
 * 5322 2.2.3). It works on decoded content, after the end of data has been decided.
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
 * Returns in *ret_piece the next octets to be written, and removes them from `text`, the
 * next piece of content. False when `text` is used up; then nothing is returned. The
 * piece lies in `text`, in `f` or in static memory, and is valid until the next call.
 */
bool first_line_take(struct first_line *f, struct span *text, struct span *ret_piece);

/* After the content: first_line_take() with an empty `text` returns the held octets. */
void first_line_end(struct first_line *f);

/* What the engine must know of the header of a message (RFC 5322 2.2). */

#define HEADER_NAME_MAX 16 /* "message-id:" and "received:" fit */
#define MESSAGE_ID_MAX 256

struct header {
	bool done; /* the header has ended */
	size_t n_column; /* octets of the line so far */
	size_t n_received; /* Received: fields, the hops of RFC 5321 6.3 */
	char name[HEADER_NAME_MAX];
	bool in_message_id;
	char message_id[MESSAGE_ID_MAX]; /* the first one's value; longer is cut */
	size_t n_message_id;
};

/* Reads the next piece of the text, with lines ended by LF, split anywhere. */
void header_watch(struct header *h, struct span text);
