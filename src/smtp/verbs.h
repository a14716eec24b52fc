/* SPDX-License-Identifier: ISC */
/* The commands (RFC 5321 4.1.1): one table, and one dispatcher that uses each column. */
#pragma once

#include "smtp/state.h"

/* Checks a line before it is parsed. Returns NULL, or the refusal. */
const struct reply *verbs_line(struct session *s, const struct line *line);

/* True for RCPT, even if it cannot be carried out. */
bool verbs_is_rcpt(struct span line);

/*
 * Carries out one command line. `n_line` includes the line end; `refusal` is the refusal
 * of the line itself, or NULL. The reply may come later: after octets, or TLS.
 */
struct answer verbs_dispatch(
	struct session *s, struct span line, size_t n_line, const struct reply *refusal);

/*
 * Begins a chunk, in chunk.c. Its octets follow and are taken even if `refusal` is set;
 * the reply comes after them. Returns no reply, or the reply to an invalid size, which
 * ends the session because the end of the chunk is unknown.
 */
struct answer chunk_bdat(struct session *s, struct span args, struct answer refusal);
/* Takes octets of a chunk from `in` in PHASE_CHUNK. True: the chunk has ended. */
bool chunk_content(struct session *s, struct bytes *in);
/*
 * Ends a chunk and sets the next phase: PHASE_CHUNKS, PHASE_RESULTS, or PHASE_GREETED, in
 * which the caller ends the transaction.
 */
struct answer chunk_reply(struct session *s);

/* Carry out MAIL, RCPT and DATA, in mail.c. */
struct answer mail_mail(struct session *s, struct span args);
struct answer mail_rcpt(struct session *s, struct span args);
struct answer mail_data(struct session *s, struct span args);

/*
 * Calls the data hooks of the stages. Returns NULL, or a refusal, after which the caller
 * ends the transaction.
 */
const struct reply *mail_begin_content(struct session *s);
/* Repairs the first line of decoded text, and passes the text on unless refused. */
void mail_text(struct session *s, struct span text);
/* Ends the text: passes on the held octets of the first line. */
void mail_end_text(struct session *s);
/* Takes content from `in` in PHASE_CONTENT. True: its end was found. */
bool mail_content(struct session *s, struct bytes *in);
/*
 * Delivers the message. Returns the reply, after which the caller ends the transaction.
 * In PHASE_RESULTS s->n_owed recipients first get replies of their own.
 */
struct answer mail_deliver(struct session *s);

/* Records and clears the open transaction, which ends with `outcome` (NULL: given up). */
void mail_end(struct session *s, const struct reply *outcome);
