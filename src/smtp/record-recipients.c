/* Promises that those are told who got a message, or would have; refuses to tell more than fits. */
#include "smtp/record-recipients.h"
#include "proto/text.h"
#include "smtp/session.h"

void record_put_path(struct span mailbox, struct buf *b)
{
	buf_put_char(b, '<');
	text_escape_path(b, mailbox, RECORD_VALUE_MAX);
	buf_put_char(b, '>');
}

/* Others got the message, this one did not. */
static bool is_left_out(const struct session *s, const struct recipient *r)
{
	return r->reply && s->outcome && reply_is_positive(s->outcome);
}

void record_put_to(const struct session *s, struct buf *b)
{
	size_t start = b->n, end = b->n + RECORD_LIST_MAX;

	for (size_t i = 0; i < s->tx.n_recipients; i++) {
		if (is_left_out(s, &s->tx.recipients[i]))
			continue;
		if (b->n + RECORD_VALUE_MAX > end) {
			buf_put(b, SPAN(",..."));
			return;
		}
		if (b->n > start)
			buf_put_char(b, ',');
		record_put_path(s->tx.recipients[i].mailbox, b);
	}
}

/* The one that follows `n` others. */
static void put_next(struct buf *b, size_t n, struct span mailbox)
{
	if (n)
		buf_put_char(b, ',');
	record_put_path(mailbox, b);
}

void record_put_refused_to(const struct session *s, struct buf *b)
{
	const struct tx *tx = &s->tx;
	size_t n = 0;

	for (; n < tx->n_refused_kept; n++)
		put_next(b, n, span_of(tx->refused[n]));
	for (size_t i = 0; i < tx->n_recipients && n < TX_REFUSED_MAX; i++)
		if (is_left_out(s, &tx->recipients[i]))
			put_next(b, n++, tx->recipients[i].mailbox);
	if (n == TX_REFUSED_MAX && tx->n_refused > n)
		buf_put(b, SPAN(",..."));
}

void record_put_recipients(const struct session *s, struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < s->tx.n_recipients; i++)
		n += !is_left_out(s, &s->tx.recipients[i]);
	if (n)
		buf_put_num(b, n);
}
