/* SPDX-License-Identifier: ISC */
/* The functions that the parts of the parser share. */
#pragma once

#include "dialogue.h"

struct parser {
	struct dialogue *d;
	struct complaint *complaint;
	size_t line; /* the number of the line in hand */
	/* the write that is being put together */
	struct text write;
	size_t write_line;
	/* the reply that is being put together */
	struct text reply;
	struct span code;
	size_t reply_line;
	size_t reply_times; /* 0: none */
	bool reply_open; /* more of its lines may follow */
	/* whose content the line before was; NULL: of none */
	const struct wanted_files *in_content;
};

/* Takes "S: ..." or "S*N: ...", after its first letter. */
bool parse_reply_line(struct parser *p, struct span s);
/* The reply that was being put together, if any, is complete. */
bool parse_reply_end(struct parser *p);

/* "*N", or nothing, from the front: how often. 0 is a mistake. */
size_t parse_times(struct span *s);
/* Takes `c` from the front, and a blank after it, if any. */
bool parse_mark(struct span *s, char c);
struct step *parse_add_step(struct parser *p, enum step_kind kind, size_t line);

/* "stored:", "reports:", "record:" and "message:" lines. */
bool parse_is_outcome(struct span s);
bool parse_outcome(struct parser *p, struct span s);
/* Adds a line of a message to `files`; it continues the message or begins another one. */
bool parse_content(
	struct parser *p, struct wanted_files *files, struct span s, bool goes_on);

/* The whole file. */
bool parse_all(struct parser *p, struct span s);
