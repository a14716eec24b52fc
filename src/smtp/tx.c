/* SPDX-License-Identifier: ISC */
/*
 * The transaction and the calls of its stages. Clearing it resets every member, and a
 * commit never follows a refused prepare.
 */
#include "smtp/tx.h"
#include <errno.h>
#include <stdlib.h>
#include "base/cleanup.h"

#define RECIPIENTS_FIRST 4 /* most transactions have one recipient */

/*
 * Replaces *s by a copy, owned by *ret. An empty span, the usual case, is not copied. 0
 * or -ENOMEM.
 */
static int keep(struct span *s, char **ret)
{
	*ret = NULL;
	if (s->n && !(*ret = strndup(s->p, s->n)))
		return -ENOMEM;
	s->p = *ret;
	return 0;
}

int tx_open(struct tx *tx, const struct path *sender, const struct mail_params *params)
{
	OWNED char *text = NULL;
	struct mail_params kept = *params;

	text = strndup(sender->text.n ? sender->text.p : "", sender->text.n);
	if (!text || keep(&kept.envid, &tx->envid) < 0 ||
		keep(&kept.author, &tx->author) < 0)
		return -ENOMEM;
	tx->sender = steal(&text);
	tx->params = kept;
	tx->lenient = sender->lenient;
	tx->open = true;
	return 0;
}

static int grow(struct tx *tx)
{
	size_t cap = tx->cap_recipients ? 2 * tx->cap_recipients : RECIPIENTS_FIRST;
	struct recipient *more = reallocarray(tx->recipients, cap, sizeof(*more));

	if (!more)
		return -ENOMEM;
	tx->recipients = more;
	tx->cap_recipients = cap;
	return 0;
}

/* Returns the span of the copy that corresponds to `part`. */
static struct span moved(struct span part, const char *from, const char *to)
{
	return part.n ? (struct span){ to + (part.p - from), part.n }
		      : (struct span){ to, 0 };
}

int tx_add_recipient(struct tx *tx, const struct path *path,
	const struct rcpt_params *params, struct recipient **ret)
{
	OWNED char *text = NULL;
	struct rcpt_params kept = *params;
	struct recipient *r;
	char *orcpt;

	if (tx->n_recipients == tx->cap_recipients && grow(tx) < 0)
		return -ENOMEM;
	text = strndup(path->text.p, path->text.n);
	if (!text || keep(&kept.orcpt, &orcpt) < 0)
		return -ENOMEM;
	r = &tx->recipients[tx->n_recipients++];
	*r = (struct recipient){
		.text = text,
		.orcpt = orcpt,
		.mailbox = { text, path->text.n },
		.local = moved(path->local, path->text.p, text),
		.domain = moved(path->domain, path->text.p, text),
		.params = kept,
	};
	steal(&text);
	*ret = r;
	return 0;
}

static struct span appended(struct buf *to, struct span part)
{
	char *start = to->p + to->n;

	buf_put(to, part);
	return (struct span){ start, part.n };
}

int tx_rename_recipient(struct recipient *r, struct span local, struct span domain)
{
	struct buf b = { .cap = r->mailbox.n + local.n + domain.n };
	struct recipient renamed = *r;

	b.p = renamed.text = malloc(b.cap);
	if (!b.p)
		return -ENOMEM;
	renamed.mailbox = appended(&b, r->mailbox);
	renamed.local = appended(&b, local);
	renamed.domain = appended(&b, domain);
	free(r->text);
	*r = renamed;
	return 0;
}

void tx_drop_recipient(struct tx *tx)
{
	struct recipient *r = &tx->recipients[--tx->n_recipients];

	free(r->text);
	free(r->orcpt);
	tx->n_added -= tx->n_added > 0;
}

const struct reply *tx_refusal_of_added(const struct tx *tx)
{
	const struct reply *r = NULL;

	for (size_t i = tx->n_recipients - tx->n_added; i < tx->n_recipients && !r; i++)
		r = tx->recipients[i].reply;
	return r;
}

void tx_keep_refused(struct tx *tx, struct span mailbox)
{
	struct tx_refusal *kept = NULL;

	if (tx->n_refused_kept < TX_REFUSED_MAX)
		kept = malloc(sizeof(*kept) + mailbox.n + 1);
	if (!kept)
		return;
	memcpy(kept->mailbox, mailbox.p, mailbox.n);
	kept->mailbox[mailbox.n] = '\0';
	kept->reply[0] = '\0';
	tx->refused[tx->n_refused_kept++] = kept;
}

/* Keeps the reply to the refused recipient that was kept last, unless it has a reply. */
static void keep_reply(struct tx *tx, struct span text)
{
	struct tx_refusal *last =
		tx->n_refused_kept ? tx->refused[tx->n_refused_kept - 1] : NULL;

	if (!last || last->reply[0])
		return;
	if (text.n >= sizeof(last->reply)) {
		text.n = sizeof(last->reply) - 1;
		/* no part of an escape (\xHH) is kept */
		for (size_t i = text.n - 3; i < text.n; i++)
			if (text.p[i] == '\\')
				text.n = i;
	}
	memcpy(last->reply, text.p, text.n);
	last->reply[text.n] = '\0';
}

void tx_note_refusal(struct tx *tx, const struct reply *r, const char *text)
{
	struct buf b = BUF(tx->rcpt_reason);

	keep_reply(tx, span_of(text));
	tx->n_refused++;
	tx->n_deferred += r->code < 500;
	if (tx->rcpt_refusal && reply_is_fault(tx->rcpt_refusal) && !reply_is_fault(r))
		return;
	tx->rcpt_refusal = r;
	buf_put_str(&b, text);
	buf_terminate(&b);
}

const struct reply *tx_fold(const struct tx *tx)
{
	for (size_t i = 0; i < tx->n_recipients; i++)
		if (tx->recipients[i].reply)
			return tx->recipients[i].reply;
	return NULL;
}

bool tx_is_refused(const struct tx *tx)
{
	size_t n = 0;

	while (n < tx->n_recipients &&
		(tx->recipients[n].reply || tx->recipients[n].left_out))
		n++;
	return n == tx->n_recipients;
}

void tx_clear(struct tx *tx)
{
	while (tx->n_recipients)
		tx_drop_recipient(tx);
	while (tx->n_refused_kept)
		free(tx->refused[--tx->n_refused_kept]);
	free(tx->recipients);
	free(tx->sender);
	free(tx->envid);
	free(tx->author);
	*tx = (struct tx){ 0 };
}

const struct reply *stages_mail(const struct stages *s, const struct tx *tx)
{
	const struct reply *r = NULL;

	for (size_t i = 0; i < s->n && !r; i++)
		if (s->list[i]->ops->mail)
			r = s->list[i]->ops->mail(s->list[i], tx);
	return r;
}

const struct reply *stages_rcpt(
	const struct stages *s, const struct tx *tx, struct recipient *to)
{
	const struct reply *r = NULL;

	for (size_t i = 0; i < s->n && !r; i++)
		if (s->list[i]->ops->rcpt)
			r = s->list[i]->ops->rcpt(s->list[i], tx, to);
	return r;
}

void stages_refused(const struct stages *s, const struct tx *tx, struct span mailbox,
	const struct reply *refusal, struct span text)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i]->ops->refused)
			s->list[i]->ops->refused(s->list[i], tx, mailbox, refusal, text);
}

const struct reply *stages_unknown(const struct stages *s, struct span line)
{
	const struct reply *r = NULL;

	for (size_t i = 0; i < s->n && !r; i++)
		if (s->list[i]->ops->unknown)
			r = s->list[i]->ops->unknown(s->list[i], line);
	return r;
}

const struct reply *stages_data(
	const struct stages *s, const struct tx *tx, struct span trace)
{
	const struct reply *r = NULL;

	for (size_t i = 0; i < s->n && !r; i++)
		if (s->list[i]->ops->data)
			r = s->list[i]->ops->data(s->list[i], tx, trace);
	return r;
}

const struct reply *stages_body(
	const struct stages *s, const struct tx *tx, struct span text)
{
	const struct reply *r = NULL;

	for (size_t i = 0; i < s->n && !r; i++)
		if (s->list[i]->ops->body)
			r = s->list[i]->ops->body(s->list[i], tx, text);
	return r;
}

/*
 * Returns the refusal of the message: that of the first refused recipient; with tx->each
 * only if all recipients are refused.
 */
static const struct reply *fold(const struct tx *tx)
{
	return !tx->each || tx_is_refused(tx) ? tx_fold(tx) : NULL;
}

const struct reply *stages_deliver(const struct stages *s, struct tx *tx, bool each)
{
	const struct reply *r = NULL;

	tx->each = each;
	for (size_t i = 0; i < s->n && !r; i++)
		if (s->list[i]->ops->prepare)
			r = s->list[i]->ops->prepare(s->list[i], tx);
	/* nothing is stored yet: the client can send the message again, to all */
	if (!r)
		r = tx_refusal_of_added(tx);
	if (!r)
		r = fold(tx);
	for (size_t i = 0; i < s->n && !r; i++)
		if (s->list[i]->ops->commit)
			r = s->list[i]->ops->commit(s->list[i], tx);
	return r ? r : fold(tx);
}

static const char *find_fault(const struct stages *s, bool is_hint)
{
	const char *fault = NULL;

	for (size_t i = 0; i < s->n && !fault; i++)
		if (s->list[i]->is_hint == is_hint)
			fault = s->list[i]->fault;
	return fault;
}

const char *stages_fault(const struct stages *s)
{
	return find_fault(s, false);
}

const char *stages_hint(const struct stages *s)
{
	return find_fault(s, true);
}

void stages_clear(const struct stages *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i]->ops->clear)
			s->list[i]->ops->clear(s->list[i]);
}
