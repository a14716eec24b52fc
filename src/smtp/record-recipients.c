/* SPDX-License-Identifier: ISC */
/*
 * The recipients of a transaction in its record. Mailboxes and replies are escaped, and
 * every list has a limit.
 */
#include "smtp/record-recipients.h"
#include "proto/text.h"
#include "smtp/record-tables.h"

void record_put_path(struct buf *b, struct span mailbox)
{
	buf_put_char(b, '<');
	text_escape_path(b, mailbox, RECORD_VALUE_MAX);
	buf_put_char(b, '>');
}

/*
 * True when an accepted recipient got its own refusal after the content: the message was
 * delivered to others, or each recipient has its own reply.
 */
static bool is_left_out(
	const struct tx *tx, const struct reply *outcome, const struct recipient *r)
{
	return r->reply && outcome &&
	       (reply_is_positive(outcome) || (tx->each && r->reply != outcome));
}

/*
 * True for a recipient without mail: refused after the content, or removed by a filter,
 * which is no refusal.
 */
static bool is_without_mail(
	const struct tx *tx, const struct reply *outcome, const struct recipient *r)
{
	return r->left_out || is_left_out(tx, outcome, r);
}

void record_put_to(struct buf *b, const struct tx *tx, const struct reply *outcome)
{
	size_t start = b->n, end = b->n + RECORD_LIST_MAX;

	for (size_t i = 0; i < tx->n_recipients; i++) {
		if (is_without_mail(tx, outcome, &tx->recipients[i]))
			continue;
		if (b->n + RECORD_VALUE_MAX > end) {
			buf_put(b, SPAN(",..."));
			return;
		}
		if (b->n > start)
			buf_put_char(b, ',');
		record_put_path(b, tx->recipients[i].mailbox);
	}
}

size_t record_count_recipients(const struct tx *tx, const struct reply *outcome)
{
	size_t n = 0;

	for (size_t i = 0; i < tx->n_recipients; i++)
		n += !is_without_mail(tx, outcome, &tx->recipients[i]);
	return n;
}

/* Appends a path after `n` earlier ones. */
static void put_next(struct buf *b, size_t n, struct span mailbox)
{
	if (n)
		buf_put_char(b, ',');
	record_put_path(b, mailbox);
}

void record_put_refused_to(
	struct buf *b, const struct tx *tx, const struct reply *outcome)
{
	size_t n = 0;

	for (; n < tx->n_refused_kept; n++)
		put_next(b, n, span_of(tx->refused[n]->mailbox));
	for (size_t i = 0; i < tx->n_recipients && n < TX_REFUSED_MAX; i++)
		if (is_left_out(tx, outcome, &tx->recipients[i]))
			put_next(b, n++, tx->recipients[i].mailbox);
	if (n == TX_REFUSED_MAX && tx->n_refused > n)
		buf_put(b, SPAN(",..."));
}

/* Appends a reply to the list that begins at `start`; a long one is cut. */
static void put_refusal(struct buf *b, size_t start, const char *text)
{
	size_t most;

	if (b->n > start)
		buf_put_char(b, '|');
	most = b->n + TX_REFUSAL_MAX;
	while (*text) {
		/* an escape is appended whole or not at all */
		struct span piece = { text, *text == '\\' ? 4 : 1 };
		text += piece.n;
		if (*piece.p == '|')
			piece = SPAN("\\x7C");
		if (b->n + piece.n > most) {
			buf_put(b, SPAN("..."));
			return;
		}
		buf_put(b, piece);
	}
}

void record_put_refused_replies(struct buf *b, const struct tx *tx,
	const struct reply *outcome, const char *reason)
{
	char text[REPLY_LINE_MAX] = "";
	size_t start = b->n, n = 0;
	bool differs = false;

	for (; n < tx->n_refused_kept; n++) {
		differs |= strcmp(tx->refused[n]->reply, reason) != 0;
		put_refusal(b, start, tx->refused[n]->reply);
	}
	for (size_t i = 0; i < tx->n_recipients && n < TX_REFUSED_MAX; i++) {
		struct buf shown = BUF(text);
		if (!is_left_out(tx, outcome, &tx->recipients[i]))
			continue;
		reply_put_text(&shown, tx->recipients[i].reply, SPAN(""));
		buf_terminate(&shown);
		differs |= strcmp(text, reason) != 0;
		put_refusal(b, start, text);
		n++;
	}
	if (!differs)
		b->n = start;
}
