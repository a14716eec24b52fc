/* SPDX-License-Identifier: ISC */
/* The commands (RFC 5321 4.1.1): one table, and one dispatcher that uses each column. */
#pragma once

#include "smtp/state.h"

/* Checks a line before it is parsed. NULL, or the refusal. */
const struct reply *verbs_line(struct session *s, const struct line *line);

/* True for RCPT, even if it cannot be carried out. */
bool verbs_is_rcpt(struct span line);

/*
 * Carries out one command line; `n_line` counts its line end, `refusal` is the fault of
 * the line itself, or NULL. The reply may come later: after octets, or TLS.
 */
struct answer verbs_dispatch(
	struct session *s, struct span line, size_t n_line, const struct reply *refusal);

/*
 * BDAT, in chunk.c. Its octets follow and are taken even if `refusal` is set; the reply
 * follows them. Returns none, or the reply to an invalid size, after which no end is
 * known.
 */
struct answer chunk_bdat(struct session *s, struct span args, struct answer refusal);
/* Takes octets from `in` while the phase is PHASE_CHUNK. True: all were taken. */
bool chunk_content(struct session *s, struct bytes *in);
/*
 * All were taken: sets the next phase, as mail_deliver() does or with the transaction to
 * be ended.
 */
struct answer chunk_reply(struct session *s);

/* MAIL, RCPT and DATA, in mail.c. */
struct answer mail_mail(struct session *s, struct span args);
struct answer mail_rcpt(struct session *s, struct span args);
struct answer mail_data(struct session *s, struct span args);

/* Opens the stages before the content. NULL, or a refusal: end the transaction. */
const struct reply *mail_begin_content(struct session *s);
/* Repairs the first line of decoded text, and passes the text on unless refused. */
void mail_text(struct session *s, struct span text);
/* The text is complete: passes on what is held of the first line. */
void mail_end_text(struct session *s);
/* Takes content from `in` while the phase is PHASE_CONTENT. True: its end was found. */
bool mail_content(struct session *s, struct bytes *in);
/*
 * Delivers after the end of the content. Returns the reply, after which the transaction
 * is to be ended. PHASE_RESULTS: first each of s->n_owed recipients gets one.
 */
struct answer mail_deliver(struct session *s);

/* Records and clears the open transaction, which ends with `outcome` (NULL: given up). */
void mail_end(struct session *s, const struct reply *outcome);
