/* Watches the header of a message pass by (RFC 5322 2.2): what the engine must know of
 * it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/span.h"

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

/* Shows the next piece of the text, its lines ended by LF, split anywhere. */
void header_watch(struct header *h, struct span text);
