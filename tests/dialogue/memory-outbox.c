/* SPDX-License-Identifier: ISC */
/* Makes the same reports as the real stage, in memory. */
#include "memory-outbox.h"

#define PIECE_MAX (2 * REPORT_ROOM)

static struct memory_outbox *outbox_of(struct stage *st)
{
	return (struct memory_outbox *)st;
}

static const struct reply *outbox_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct memory_outbox *o = outbox_of(st);

	(void)trace;
	o->due = report_is_due(tx);
	if (!o->due)
		return NULL;
	o->report = (struct report){
		.tx = tx,
		.utf8 = tx->params.smtputf8,
		.hostname = span_of(o->hostname),
		.time = tx->since.seconds,
		.returned.text = { .p = arena_take(&o->way->arena, REPORT_RETURNED_MAX),
			.cap = REPORT_RETURNED_MAX },
	};
	return NULL;
}

static const struct reply *outbox_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	struct memory_outbox *o = outbox_of(st);

	(void)tx;
	if (o->due)
		returned_take(&o->report.returned, text);
	return NULL;
}

static const struct reply *outbox_commit(struct stage *st, struct tx *tx)
{
	struct memory_outbox *o = outbox_of(st);
	char octets[PIECE_MAX];
	struct text text = { 0 };
	bool more = o->due;

	if (!o->due)
		return NULL;
	report_begin(&o->report);
	while (more) {
		struct buf b = BUF(octets);
		more = report_put(&o->report, &b);
		text_put(&o->way->arena, &text, buf_span(&b));
	}
	way_keep_message(o->way, NULL, tx->id, text_span(&text));
	tx->report = tx->id;
	return NULL;
}

static void outbox_clear(struct stage *st)
{
	outbox_of(st)->due = false;
}

static const struct stage_ops outbox_ops = {
	.data = outbox_data,
	.body = outbox_body,
	.commit = outbox_commit,
	.clear = outbox_clear,
};

void memory_outbox_init(struct memory_outbox *o, struct way *way, const char *hostname)
{
	*o = (struct memory_outbox){
		.stage.ops = &outbox_ops,
		.way = way,
		.hostname = hostname,
	};
}
