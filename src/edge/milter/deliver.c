/* SPDX-License-Identifier: ISC */
/*
 * Passes a message on to the stages that deliver, as filters have left it. Octets that no
 * filter changed stay as they are.
 */
#include "edge/milter/parts.h"
#include "proto/received.h"

static bool is_changed(const struct content *c)
{
	return c->parsed && (c->edits.changed || c->body_replaced);
}

/* The trace header as filters' edits count it: Received, and what stands above. */
void content_split_trace(
	const struct content *c, struct span *ret_top, struct span *ret_ours)
{
	struct span rest = octets_span(&c->trace);

	while (rest.n && !span_starts(rest, SPAN("Received:")))
		span_take_line(&rest);
	*ret_top = (struct span){ c->trace.p, c->trace.n - rest.n };
	*ret_ours = rest;
}

/* The number of the field that stands for our own. */
static size_t find_ours(const struct milter_edits *e)
{
	size_t i = 0;

	while (i < e->n && !e->fields[i].ours)
		i++;
	return i;
}

/* A filter has added recipients or removed some. */
static bool has_other_recipients(const struct tx *tx)
{
	size_t i = 0;

	while (i < tx->n_recipients && !tx->recipients[i].left_out)
		i++;
	return tx->n_added || i < tx->n_recipients;
}

/* Appends text; the engine has limits for each part of the trace header. */
static int put(struct octets *to, struct span text)
{
	return octets_put(to, text, SIZE_MAX / 4);
}

/*
 * Our own fields without the recipient that the client named, where others get the
 * message: Delivered-To, and the clause "for" of Received, which may be the last one.
 */
static int put_unnamed(struct octets *to, struct span text)
{
	int r = 0;

	while (r == 0 && text.n) {
		struct span line = text;
		span_take_line(&text);
		line.n -= text.n;
		if (span_starts(line, SPAN("\tfor <"))) {
			bool is_last = span_ends(line, SPAN(";\n"));
			to->n -= is_last && to->n; /* the line end before it */
			r = put(to, is_last ? SPAN(";\n") : SPAN(""));
		} else if (!span_starts(line, SPAN(FIELD_DELIVERED_TO))) {
			r = put(to, line);
		}
	}
	return r;
}

/* The trace header, with what filters put above Received. 0 or -errno. */
static int put_trace(const struct content *c, const struct tx *tx, struct octets *to)
{
	int (*const put_own)(struct octets *, struct span) =
		has_other_recipients(tx) ? put_unnamed : put;
	const struct milter_edits *e = &c->edits;
	struct span top, ours, first, below;
	int r;

	content_split_trace(c, &top, &ours);
	below = top;
	span_take_line(&below);
	first = (struct span){ top.p, top.n - below.n };
	r = put(to, c->return_path.n ? octets_span(&c->return_path) : first);
	if (r == 0)
		r = put(to, octets_span(&c->mark));
	if (r == 0)
		r = put_own(to, below);
	if (r == 0 && !c->parsed)
		r = put_own(to, ours);
	for (size_t i = 0; c->parsed && i <= find_ours(e) && i < e->n && r == 0; i++)
		r = (e->fields[i].ours ? put_own : put)(to, e->fields[i].text);
	return r;
}

/* Passes on the body, or the whole text. */
static const struct reply *put_body(
	struct filters_state *m, const struct tx *tx, struct body *body)
{
	const struct reply *refusal = NULL;
	int r;

	do {
		r = body_next(body);
		if (r == 0 && body->text.n)
			refusal = stages_body(&m->host.delivery, tx, body->text);
	} while (r == 0 && body->text.n && !refusal);
	return r < 0 ? content_fail(m, r) : refusal;
}

/* All that is below the trace header, in the form that filters gave it. */
static const struct reply *put_changed(struct filters_state *m, const struct tx *tx)
{
	struct content *c = &m->content;
	struct milter_walk walk = { .field = find_ours(&c->edits) + 1 };
	struct body body = content_body(c);
	const struct reply *r = NULL;
	struct buf b = { .p = c->room, .cap = BODY_PIECE_MAX };
	bool done;

	do {
		b.n = 0;
		done = milter_edits_put(&c->edits, &walk, &b);
		r = stages_body(&m->host.delivery, tx, buf_span(&b));
	} while (!done && !r);
	if (r)
		return r;
	/* the end of the header is a line that is no field, or the end of the message */
	if (c->body_replaced ||
		(!c->header.n_separator && body.at < spool_size(body.from)))
		r = stages_body(&m->host.delivery, tx, SPAN("\n"));
	else
		body.at = c->header.n;
	return r ? r : put_body(m, tx, &body);
}

const struct reply *content_deliver(struct filters_state *m, const struct tx *tx)
{
	struct octets *trace = &m->content.new_trace;
	struct body text = content_text(&m->content);
	const struct reply *r;

	octets_clear(trace);
	if (put_trace(&m->content, tx, trace) < 0)
		r = m->host.reply(REPLY_NO_MEMORY);
	else
		r = stages_data(&m->host.delivery, tx, octets_span(trace));
	if (r)
		return r;
	if (is_changed(&m->content))
		return put_changed(m, tx);
	return put_body(m, tx, &text);
}
