/*
 * The content of a message as DATA and BDAT carry it (RFC 5321 4.5.2, 2.3.8; RFC 3030 2): dots unstuffed,
 * CRLF made LF, the end found. Only CRLF.CRLF ends DATA. CRs in excess directly before CRLF are dropped, as
 * some senders double them; a run of CRs elsewhere becomes one space. A line may have any length.
 */
#pragma once

#include <stdint.h>
#include "base/span.h"

enum data_at {
	DATA_AFTER_CRLF, /* at the start of a line: a dot here may end the message */
	DATA_AFTER_LF, /* at the start of a line that a bare LF began: it may not */
	DATA_IN_LINE,
};

struct data {
	enum data_at at;
	uint64_t octets; /* of the message, as RFC 1870 counts them: CRLF is two, stuffed
			    dots none */
	bool bare; /* a bare LF or a stray CR has been seen */
	bool cr; /* of chunks: the text so far ends with CRs, which are not yet written */
};

/*
 * Decodes in place what can be decoded of `in`; *ret_text is the result and lies in the
 * same memory. True when the end was found: `in` is then what follows it. Otherwise at
 * most two octets are left in `in`, to be shown again with more behind them.
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
