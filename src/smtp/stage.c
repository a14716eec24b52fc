/* Promises the order of the walks; refuses to know what a stage does. */
#include "smtp/stage.h"

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

/* What the replies of single recipients come to. */
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
	if (!r)
		r = fold(tx);
	for (size_t i = 0; i < s->n && !r; i++)
		if (s->list[i]->ops->commit)
			r = s->list[i]->ops->commit(s->list[i], tx);
	return r ? r : fold(tx);
}

const char *stages_fault(const struct stages *s)
{
	const char *fault = NULL;

	for (size_t i = 0; i < s->n && !fault; i++)
		fault = s->list[i]->fault;
	return fault;
}

void stages_clear(const struct stages *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i]->ops->clear)
			s->list[i]->ops->clear(s->list[i]);
}
