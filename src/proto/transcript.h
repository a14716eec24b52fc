/* SPDX-License-Identifier: ISC */
/*
 * A session in the notation of the dialogue tests (tests/dialogue/README.md), so that it
 * can be replayed. It has no secrets: passwords are masked, and messages are cut after
 * their header unless `whole` is set.
 */
#pragma once

#include <stdint.h>
#include "base/buf.h"

#define TRANSCRIPT_PIECE_MAX 512 /* octets of a line, or of a piece of a long one */
#define TRANSCRIPT_ROOM 2304 /* octets that a piece may add, with all that precedes it */

struct transcript {
	bool whole; /* messages are written whole */
	bool in_line; /* the last piece did not end its line */
	bool masked; /* the rest of this line is masked */
	bool past_header; /* the body of this message has begun */
	uint64_t n_cut; /* octets left out since the last note about it */
};

/* A piece of a command: up to its line end at most. */
void transcript_command(struct transcript *t, struct buf *to, struct span piece);

/* A response of AUTH (RFC 4954), all of it masked. */
void transcript_response(struct buf *to);

/* A piece of content, without the line with the final dot. */
void transcript_content(struct transcript *t, struct buf *to, struct span piece);

/* After the content, or a chunk: writes filler of the length of what was left out. */
void transcript_content_end(struct transcript *t, struct buf *to);

/* A line of a reply, with its end. Parts that differ in every session are "...". */
void transcript_reply(struct buf *to, struct span line);
