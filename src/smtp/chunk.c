/* SPDX-License-Identifier: ISC */
/*
 * BDAT (RFC 3030). A chunk's octets are taken to the announced length, even if it is
 * refused, so that none is read as a command. A client may send all chunks before it
 * reads the first refusal.
 */
#include "base/num.h"
#include "proto/line.h"
#include "smtp/verbs.h"

/* chunk-size = 1*DIGIT    end-marker = "LAST"    (RFC 3030 2) */
static bool parse(struct session *s, struct span args)
{
	struct command c = command_parse(args);

	s->chunk_last = c.args.n > 0;
	return num_parse(c.verb, &s->chunk_left) &&
	       (!s->chunk_last || span_ieq(c.args, SPAN("LAST")));
}

/* Opens a message at its first chunk. */
static const struct reply *begin(struct session *s)
{
	const struct reply *r = mail_begin_content(s);

	s->data = (struct data){ .at = DATA_AFTER_CRLF };
	return r;
}

struct answer chunk_bdat(struct session *s, struct span args, struct answer refusal)
{
	if (s->chunk_last)
		s->refused_message = NULL;
	/* with an invalid size the content would be parsed as commands */
	if (!parse(s, args)) {
		s->end = END_CHUNK;
		return answer(REPLY_CHUNK_SYNTAX);
	}
	if (s->refused_message)
		refusal = (struct answer){ .reply = s->refused_message };
	else if (!refusal.reply && s->phase == PHASE_MAIL)
		refusal.reply = begin(s);
	s->chunk_refusal = refusal;
	s->chunk_phase = s->phase;
	s->phase = PHASE_CHUNK;
	return (struct answer){ 0 };
}

static void take_text(struct session *s, struct bytes piece)
{
	struct span kept, text;

	if (s->tx.params.body == BODY_BINARYMIME) {
		s->data.octets += piece.n;
		mail_text(s, (struct span){ piece.p, piece.n });
		return;
	}
	data_chunk(&s->data, piece, &kept, &text);
	if (kept.n)
		mail_text(s, kept);
	mail_text(s, text);
}

bool chunk_content(struct session *s, struct bytes *in)
{
	struct bytes piece = *in;

	if (piece.n > s->chunk_left)
		piece.n = (size_t)s->chunk_left;
	in->p += piece.n;
	in->n -= piece.n;
	s->chunk_left -= piece.n;
	if (!s->chunk_refusal.reply && piece.n)
		take_text(s, piece);
	return s->chunk_left == 0;
}

/* A CR held back at the end of the message was a stray one. */
static void end_text(struct session *s)
{
	struct span kept;

	data_chunk_end(&s->data, &kept);
	mail_text(s, kept);
	mail_end_text(s);
}

/*
 * Refuses a chunk and with it the message (RFC 3030 2). In LMTP the last chunk still gets
 * one reply for each recipient, so without recipients it gets none (RFC 2033 4.3).
 */
static struct answer refuse(struct session *s, struct answer refusal)
{
	if (!s->refused_message)
		s->n_owed = s->tx.n_recipients;
	s->phase = s->tx.open ? PHASE_GREETED : s->chunk_phase;
	if (s->settings->lmtp && s->chunk_last && s->phase == PHASE_GREETED)
		s->phase = PHASE_RESULTS;
	return refusal;
}

struct answer chunk_reply(struct session *s)
{
	if (s->chunk_refusal.reply)
		return refuse(s, s->chunk_refusal);
	if (s->chunk_last) {
		end_text(s);
		return mail_deliver(s);
	}
	if (s->tx.refusal)
		return refuse(s, (struct answer){ .reply = s->tx.refusal });
	s->phase = PHASE_CHUNKS;
	return answer(REPLY_CHUNK_OK);
}
