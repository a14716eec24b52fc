/*
 * The content of a message as DATA carries it (RFC 5321 4.5.2, 2.3.8): dots unstuffed,
 * CRLF made LF, the end found. Only CRLF.CRLF ends it, whatever else a stranger sends.
 */
#pragma once

#include <stdint.h>
#include "base/span.h"

/* RFC 5321 asks for 1000; web mail sends far more */
#define CONTENT_LINE_MAX (1024 * 1024)

enum data_at {
	DATA_AFTER_CRLF, /* at the start of a line: a dot here may end the message */
	DATA_AFTER_LF, /* at the start of a line that a bare LF began: it may not */
	DATA_IN_LINE,
};

struct data {
	enum data_at at;
	size_t n_line; /* octets of the line so far */
	uint64_t octets; /* of the message, as RFC 1870 counts them: CRLF is two, stuffed
			    dots none */
	bool bare; /* a bare LF or a stray CR has been seen */
	bool too_long; /* a line above CONTENT_LINE_MAX has been seen */
	bool cr; /* of chunks: the last octet was a CR, which may be half of a CRLF */
};

/*
 * Decodes in place what can be decoded of `in`; *ret_text is the result and lies in the
 * same memory. True when the end was found: `in` is then what follows it. Otherwise at
 * most two octets are left in `in`, to be shown again with more behind them. A stray CR
 * becomes a space.
 */
bool data_take(struct data *d, struct bytes *in, struct span *ret_text);

/*
 * The same for text in chunks (RFC 3030 2), where no dot means anything: decodes all of `in` in place.
 * *ret_kept is what has to come before *ret_text, and does not lie in `in`.
 */
void data_chunk(
	struct data *d, struct bytes in, struct span *ret_kept, struct span *ret_text);

/* No chunk follows: *ret_kept is what is left of the text. */
void data_chunk_end(struct data *d, struct span *ret_kept);
