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
#define TRANSCRIPT_ROOM 2304 /* octets that one call may append */

struct transcript {
	bool whole; /* messages are written whole */
	bool in_line; /* the last piece did not end its line */
	bool masked; /* the rest of this line is masked */
	bool past_header; /* the body of this message has begun */
	uint64_t n_cut; /* octets left out since the last note of an omission */
};

/* Appends a piece of a command, which ends at its line end or before. */
void transcript_command(struct transcript *t, struct buf *to, struct span piece);

/* Appends a response of AUTH (RFC 4954), wholly masked. */
void transcript_response(struct buf *to);

/* Appends a piece of content, without the line of the final dot. */
void transcript_content(struct transcript *t, struct buf *to, struct span piece);

/* Ends the content, or a chunk: appends filler as long as the text that was left out. */
void transcript_content_end(struct transcript *t, struct buf *to);

/*
 * Appends a line of a reply, with its line end. Parts that differ in every session become
 * "...".
 */
void transcript_reply(struct buf *to, struct span line);
