/* The commands (RFC 5321 4.1.1): one table, and the one dispatcher that uses each of its
 * columns. */
#pragma once

#include "smtp/state.h"

/* What is wrong with a line before anybody looks at its words; NULL: nothing. */
const struct reply *verbs_line(struct session *s, const struct line *line);

/* True for RCPT, whether it can be carried out or not. */
bool verbs_is_rcpt(struct span line);

/*
 * Carries out one command line, of `n_line` octets with its end; `refusal` is what is
 * wrong with the line itself, or NULL. The reply may come later: behind octets, or TLS.
 */
struct answer verbs_dispatch(
	struct session *s, struct span line, size_t n_line, const struct reply *refusal);

/*
 * BDAT, in chunk.c: `refusal` is why it cannot be carried out, or none. Either way its
 * octets follow, and are taken; the reply comes behind them. None, or the reply to a size
 * that tells no end.
 */
struct answer chunk_bdat(struct session *s, struct span args, struct answer refusal);
/*
 * Takes octets from `in` while the phase is PHASE_CHUNK. True when all of them were
 * there.
 */
bool chunk_content(struct session *s, struct bytes *in);
/*
 * They were: goes on to the phase that follows, as mail_deliver() or with the transaction
 * to be ended.
 */
struct answer chunk_reply(struct session *s);

/* MAIL, RCPT and DATA, in mail.c. */
struct answer mail_mail(struct session *s, struct span args);
struct answer mail_rcpt(struct session *s, struct span args);
struct answer mail_data(struct session *s, struct span args);

/*
 * Content is about to come: opens the stages for it. NULL, or the refusal; then the
 * caller ends what is over.
 */
const struct reply *mail_begin_content(struct session *s);
/*
 * Repairs the first line of decoded text and passes all of it on, unless the message has
 * been refused.
 */
void mail_text(struct session *s, struct span text);
/* No more text follows: passes on what is held of the first line. */
void mail_end_text(struct session *s);
/*
 * Takes content from `in` while the phase is PHASE_CONTENT. True when its end was found.
 */
bool mail_content(struct session *s, struct bytes *in);
/*
 * The end was found: delivers. Returns the reply, after which the transaction is to be
 * ended. PHASE_RESULTS: first each of s->n_owed recipients has one.
 */
struct answer mail_deliver(struct session *s);

/*
 * Writes the record of the open transaction, which ends with `outcome` (NULL: given up),
 * and clears it.
 */
void mail_end(struct session *s, const struct reply *outcome);
