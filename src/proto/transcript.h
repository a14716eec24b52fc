/*
 * A session written down in the notation of the dialogue tests (tests/dialogue/README.md), so that what
 * a user sees can be played again. Nothing secret is in it: passwords are masked, and of messages only
 * the header is there unless more is asked for.
 */
#pragma once

#include <stdint.h>
#include "base/buf.h"

#define TRANSCRIPT_PIECE_MAX                                                             \
	512 /* octets shown at once: a line, or a piece of a long one */
#define TRANSCRIPT_ROOM 2304 /* what a piece may come to, with all that precedes it */

struct transcript {
	bool whole; /* messages are written down whole */
	bool in_line; /* the last piece did not end its line */
	bool masked; /* nor may the rest of it be seen */
	bool past_header; /* of this message the body has begun */
	uint64_t n_cut; /* octets of content not yet told of */
};

/* A piece of a command: up to its line end at most. */
void transcript_command(struct transcript *t, struct buf *to, struct span piece);

/* A whole response of AUTH (RFC 4954), which is none of it. */
void transcript_response(struct buf *to);

/* A piece of content, without the line with the final dot. */
void transcript_content(struct transcript *t, struct buf *to, struct span piece);

/* The content, or the chunk, ends: as many octets as were left out are put in their place. */
void transcript_content_end(struct transcript *t, struct buf *to);

/* A line of a reply, with its end. What no two sessions have in common is left open. */
void transcript_reply(struct buf *to, struct span line);
