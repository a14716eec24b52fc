/* The two halves of a command line (RFC 5321 4.1.1). */
#pragma once

#include "base/span.h"

struct command {
	struct span verb;
	struct span args; /* no blanks at either end */
};

/* command = verb [1*WSP args] *WSP. The verb of a blank line is empty. Borrows from
 * `line`. */
struct command command_parse(struct span line);

/* True when blanks stand at the end. */
bool command_is_padded(struct span line);

/* True for a request line of HTTP (RFC 9112 3): "GET / HTTP/1.1". */
bool command_is_http(struct span line);

/* True when input that starts like this is a TLS record with a handshake in it (RFC
 * 8446 5.1). */
bool command_is_tls(struct bytes in);
