/* Promises that a cleared transaction leaves nothing behind; refuses to know why it
 * ended. */
#include "smtp/tx.h"
#include <errno.h>
#include <stdlib.h>

#define RECIPIENTS_FIRST 4 /* most transactions have one */

int tx_open(struct tx *tx, const struct path *sender, const struct mail_params *params)
{
	tx->sender = strndup(sender->text.n ? sender->text.p : "", sender->text.n);
	if (!tx->sender)
		return -ENOMEM;
	tx->params = *params;
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

/* The same part of the text's copy. */
static struct span moved(struct span part, const char *from, const char *to)
{
	return part.n ? (struct span){ to + (part.p - from), part.n }
		      : (struct span){ to, 0 };
}

int tx_add_recipient(struct tx *tx, const struct path *path, struct recipient **ret)
{
	struct recipient *r;
	char *text;

	if (tx->n_recipients == tx->cap_recipients && grow(tx) < 0)
		return -ENOMEM;
	text = strndup(path->text.p, path->text.n);
	if (!text)
		return -ENOMEM;
	r = &tx->recipients[tx->n_recipients++];
	*r = (struct recipient){
		.text = text,
		.mailbox = { text, path->text.n },
		.local = moved(path->local, path->text.p, text),
		.domain = moved(path->domain, path->text.p, text),
	};
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
	free(tx->recipients[--tx->n_recipients].text);
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

	while (n < tx->n_recipients && tx->recipients[n].reply)
		n++;
	return n == tx->n_recipients;
}

void tx_clear(struct tx *tx)
{
	while (tx->n_recipients)
		tx_drop_recipient(tx);
	free(tx->recipients);
	free(tx->sender);
	*tx = (struct tx){ 0 };
}
