/* SPDX-License-Identifier: ISC */
/* Command lines (RFC 5321 2.3.8, 4.1.1, 4.5.3.1.4), and their verb and argument. */
#pragma once

#include "base/span.h"

#define LINE_TAIL 16 /* octets kept of the end of an overlong line */

/* State between reads of a line. All zero: the start of a line. */
struct line_reader {
	size_t n_dropped; /* octets of an overlong line taken so far */
	char tail[LINE_TAIL]; /* the last of these */
	size_t n_tail;
	bool nul;
};

struct line {
	/*
	 * in the input, without the line end; of an overlong line the tail, in the reader
	 */
	struct span text;
	bool bare; /* ended by LF alone, or holds a stray CR */
	bool crlf; /* ended by CRLF */
	bool nul;
	bool too_long;
};

/*
 * Takes one line of at most `max` octets, its end included, from the front of `in`. False
 * when the end of the line has not arrived yet. The octets of an overlong line are taken
 * even then.
 */
bool line_take(struct line_reader *r, struct bytes *in, size_t max, struct line *ret);

struct command {
	struct span verb;
	struct span args; /* no blanks at either end */
};

/* command = verb [1*WSP args] *WSP. The verb may be empty. Borrows from `line`. */
struct command command_parse(struct span line);

/* True when blanks are at the end of the line. */
bool command_is_padded(struct span line);

/* True for a request line of HTTP (RFC 9112 3): "GET / HTTP/1.1". */
bool command_is_http(struct span line);

/* True for input that starts with a ClientHello of SSL 2.0 (RFC 5246 E.2). */
bool command_is_ssl2(struct bytes in);

/* True for command_is_ssl2(), and for a TLS record of a handshake (RFC 8446 5.1). */
bool command_is_tls(struct bytes in);
