/* SPDX-License-Identifier: ISC */
/*
 * Shows a message to filters, carries out what they want, and passes it on. It is kept in
 * memory and not read back from its file: in the sandbox nothing that can be written can
 * be read, so that no file of mail can become code. The edits of a filter count only with
 * its verdict; octets that no filter changed stay as they are.
 */
#include "base/cleanup.h"
#include "edge/milter/parts.h"

#define FIELD_ROOM (MILTER_DATA_MAX + 1024) /* the longest that is sent, and its name */
#define FIELD_MORE 64 /* octets of an event that are not of the field */
#define PIECE_MAX (16 * 1024)

static bool is_changed(const struct content *c)
{
	return c->parsed && (c->edits.changed || c->body_replaced);
}

/* The trace header as filters' edits count it: Received, and what stands above. */
static void split_trace(
	const struct content *c, struct span *ret_top, struct span *ret_ours)
{
	struct span rest = octets_span(&c->trace);

	while (rest.n && !span_starts(rest, SPAN("Received:")))
		span_take_line(&rest);
	*ret_top = (struct span){ c->trace.p, c->trace.n - rest.n };
	*ret_ours = rest;
}

static int make_edits(struct milter_edits *e)
{
	const size_t size = MILTER_FIELDS_MAX * sizeof(*e->fields);
	struct milter_field *memory;

	if (e->fields)
		return 0;
	/* one piece: of several the heap writes a head into a page of each */
	memory = malloc(2 * size + MILTER_NEW_TEXT_MAX);
	if (!memory)
		return -ENOMEM;
	*e = (struct milter_edits){ .fields = memory,
		.saved = memory + MILTER_FIELDS_MAX,
		.cap = MILTER_FIELDS_MAX,
		.text = { .p = (char *)memory + 2 * size, .cap = MILTER_NEW_TEXT_MAX } };
	return 0;
}

/*
 * Makes the list of fields, once for all filters. NULL or a refusal: a header that
 * filters cannot be shown is no failure of theirs, so no default action lets it pass.
 */
static const struct reply *parse(struct filters_state *m)
{
	struct content *c = &m->content;
	struct span top, ours, text = octets_span(&c->text);
	const char *wrong;

	if (c->parsed)
		return NULL;
	if (make_edits(&c->edits) < 0)
		return m->host.reply(REPLY_NO_MEMORY);
	milter_header_find(text, true, &c->header); /* true of a whole message */
	split_trace(c, &top, &ours);
	wrong = milter_edits_begin(&c->edits, ours, (struct span){ text.p, c->header.n });
	if (wrong)
		return m->host.reply(REPLY_FILTER_HEADER);
	c->parsed = true;
	return NULL;
}

static struct span body_of(const struct content *c)
{
	if (c->body_replaced)
		return octets_span(&c->body);
	return span_from(octets_span(&c->text), c->header.n + c->header.n_separator);
}

/* Each of these returns 0 or -errno, with a fault, and sets *ret_refusal. */

/* The filter gets no more events of this message. */
static bool is_over(const struct filters_state *m, const struct filter *f,
	const struct reply *refusal)
{
	return refusal || f->failed || m->discard;
}

static int ask_fields(struct filters_state *m, struct filter *f, const struct reply **ret)
{
	struct milter_talk *t = &f->talk;
	struct span field;
	size_t at = 0;
	struct buf b;
	int r = 0;

	while (r == 0 && !is_over(m, f, *ret) && milter_wants(t, MILTER_FIELD) &&
		milter_edits_next(&m->content.edits, &at, &field)) {
		r = filter_room(
			f, field.n < FIELD_ROOM ? field.n + FIELD_MORE : FIELD_ROOM, &b);
		if (r < 0)
			break;
		f->field_notes |= milter_put_field(&b, field, t->terms.options);
		milter_sent(t, MILTER_FIELD);
		trace_event(f, MILTER_FIELD, field);
		r = filter_end_event(f, &b);
		if (r == 0)
			*ret = filter_await(m, f);
	}
	return r;
}

/* A buffer for an event, with its macros in front. 0 or -errno, with a fault. */
static int put_macros(struct filters_state *m, struct filter *f, const struct tx *tx,
	enum milter_event event, struct buf *ret)
{
	struct milter_values v;
	int r = filter_room(f, PIECE_MAX, ret);

	if (r < 0)
		return r;
	values_make(&v, m, tx, NULL);
	if (milter_wants_macros(&f->talk, event))
		milter_put_macros(ret, &f->talk, event, &v);
	return 0;
}

static int ask_end_of_header(struct filters_state *m, struct filter *f,
	const struct tx *tx, const struct reply **ret)
{
	struct buf b;
	int r = put_macros(m, f, tx, MILTER_END_OF_HEADER, &b);

	if (r < 0)
		return r;
	if (milter_wants(&f->talk, MILTER_END_OF_HEADER)) {
		milter_put_end_of_header(&b);
		milter_sent(&f->talk, MILTER_END_OF_HEADER);
		trace_event(f, MILTER_END_OF_HEADER, SPAN(""));
	}
	r = filter_end_event(f, &b);
	if (r == 0)
		*ret = filter_await(m, f);
	return r;
}

static int put_piece(struct filter *f, struct span *text, bool *cr)
{
	size_t most = text->n < MILTER_CHUNK_MAX / 2 ? 2 * text->n : MILTER_CHUNK_MAX;
	struct buf b, data;
	int r = filter_room(f, MILTER_FRAME_HEAD + most, &b);

	if (r < 0)
		return r;
	data = (struct buf){ .p = b.p + MILTER_FRAME_HEAD, .cap = most };
	milter_put_crlf(&data, text, cr);
	b.cap = MILTER_FRAME_HEAD;
	milter_put_body_head(&b, data.n);
	b.n += data.n;
	milter_sent(&f->talk, MILTER_BODY);
	trace_event(f, MILTER_BODY, buf_span(&data));
	return filter_end_event(f, &b);
}

static int ask_body(struct filters_state *m, struct filter *f, const struct reply **ret)
{
	struct span text = body_of(&m->content);
	bool cr = false;
	int r = 0;

	while (r == 0 && !is_over(m, f, *ret) && text.n &&
		milter_wants(&f->talk, MILTER_BODY)) {
		r = put_piece(f, &text, &cr);
		if (r == 0)
			*ret = filter_await(m, f);
	}
	return r;
}

/* A piece of a replacement body. */
static int take_body(struct content *c, struct filter *f, struct span piece)
{
	struct buf b;
	int r;

	if (!c->has_new_body)
		octets_clear(&c->new_body);
	c->has_new_body = true;
	r = octets_reserve(&c->new_body, piece.n + 2, FILTERS_MESSAGE_MAX);
	if (r < 0)
		return link_fail(&f->link, "sends a body", r);
	b = (struct buf){ .p = c->new_body.p + c->new_body.n, .cap = piece.n + 1 };
	milter_put_lf(&b, &piece, &c->new_body_cr);
	c->new_body.n += b.n;
	return 0;
}

/* The action that a filter must have negotiated for an edit. */
static uint32_t action_of(enum milter_kind kind)
{
	switch (kind) {
	case MILTER_ADD:
	case MILTER_INSERT:
		return MILTER_ADD_FIELDS;
	case MILTER_CHANGE:
		return MILTER_CHANGE_FIELDS;
	case MILTER_BODY_PIECE:
		return MILTER_CHANGE_BODY;
	case MILTER_RCPT_ADD:
		return MILTER_ADD_RECIPIENTS | MILTER_ADD_RECIPIENTS_WITH_PARAMETERS;
	case MILTER_RCPT_DELETE:
		return MILTER_DELETE_RECIPIENTS;
	case MILTER_SENDER:
		return MILTER_CHANGE_SENDER;
	default:
		return MILTER_QUARANTINE_MESSAGE;
	}
}

/* Carries out an edit. 0 or -errno, with a fault. */
static int edit(struct filters_state *m, struct filter *f, const struct milter_answer *a)
{
	struct content *c = &m->content;
	const char *wrong;

	if (!(f->talk.terms.actions & action_of(a->kind)))
		return link_fail(&f->link, "asks for what it has not negotiated", 0);
	f->n_edits++;
	if (a->kind == MILTER_BODY_PIECE)
		return take_body(c, f, a->value);
	if (a->kind == MILTER_QUARANTINE && !m->host.quarantine)
		return link_fail(&f->link,
			"wants a quarantine, and quarantine-mailbox is not set", 0);
	if (a->kind != MILTER_ADD && a->kind != MILTER_INSERT && a->kind != MILTER_CHANGE)
		return changes_put(m, f, a);
	wrong = milter_edits_apply(&c->edits, a, f->talk.terms.options);
	return wrong ? link_fail(&f->link, wrong, 0) : 0;
}

/* Reads what the filter decides about the whole message. */
static int take_verdict(
	struct filters_state *m, struct filter *f, const struct reply **ret)
{
	uint64_t end = link_clock() + 1000ULL * FILTER_PROGRESS_MAX;
	struct milter_answer a;
	int r;

	do {
		if (link_clock() > end)
			return link_fail(&f->link, "gives no verdict for an hour", 0);
		r = filter_answer(f, f->setting.content_timeout, &a);
		if (r == 0 && !milter_is_verdict(a.kind))
			r = edit(m, f, &a);
	} while (r == 0 && !milter_is_verdict(a.kind));
	if (r < 0)
		return r;
	*ret = filter_verdict(m, f, &a);
	if (filter_may_go_on(f))
		r = filter_drop_late(f);
	m->discard &= r == 0;
	return r;
}

static int ask_end(struct filters_state *m, struct filter *f, const struct tx *tx,
	const struct reply **ret)
{
	struct buf b;
	int r = put_macros(m, f, tx, MILTER_END, &b);

	if (r < 0)
		return r;
	milter_put_end(&b);
	milter_sent(&f->talk, MILTER_END);
	trace_event(f, MILTER_END, SPAN(""));
	r = filter_end_event(f, &b);
	if (r == 0)
		r = link_flush(&f->link, f->setting.content_timeout);
	return r < 0 ? r : take_verdict(m, f, ret);
}

/*
 * The verdict is there: what the filter changed counts from now on. The last line of a
 * new body gets an end, as that of every message has one but for BINARYMIME.
 */
static void keep_body(struct content *c, bool binary)
{
	struct octets old = c->body;
	struct buf b;

	if (!c->has_new_body)
		return;
	b = (struct buf){ .p = c->new_body.p + c->new_body.n,
		.cap = c->new_body.cap - c->new_body.n };
	milter_put_lf_end(&b, &c->new_body_cr);
	c->new_body.n += b.n;
	if (!binary && c->new_body.n && c->new_body.p[c->new_body.n - 1] != '\n')
		c->new_body.p[c->new_body.n++] = '\n';
	c->body = c->new_body;
	c->new_body = old;
	c->body_replaced = true;
	c->has_new_body = false;
}

static int converse(struct filters_state *m, struct filter *f, const struct tx *tx,
	const struct reply **ret)
{
	int r;

	*ret = parse(m);
	if (*ret)
		return 0;
	milter_edits_save(&m->content.edits);
	m->content.has_new_body = m->content.new_body_cr = false;
	r = ask_fields(m, f, ret);
	if (r == 0 && !is_over(m, f, *ret))
		r = ask_end_of_header(m, f, tx, ret);
	if (r == 0 && !is_over(m, f, *ret))
		r = ask_body(m, f, ret);
	if (r == 0 && !is_over(m, f, *ret) && milter_wants(&f->talk, MILTER_END))
		r = ask_end(m, f, tx, ret);
	return r;
}

const struct reply *filter_ask_content(
	struct filters_state *m, struct filter *f, const struct tx *tx)
{
	const struct reply *refusal = NULL;
	size_t n_changes = m->changes.n;

	if (f->failed)
		return filter_fail(m, f);
	if (!f->in_message || f->talk.session_accepted || f->talk.message_accepted)
		return NULL;
	if (converse(m, f, tx, &refusal) == 0 && !f->failed) {
		keep_body(&m->content, tx->params.body == BODY_BINARYMIME);
		return refusal;
	}
	if (m->content.parsed)
		milter_edits_restore(&m->content.edits);
	m->content.has_new_body = false;
	changes_cut(&m->changes, n_changes);
	f->n_edits = 0;
	return f->failed ? refusal : filter_fail(m, f);
}

/* The number of the field that stands for our own. */
static size_t find_ours(const struct milter_edits *e)
{
	size_t i = 0;

	while (i < e->n && !e->fields[i].ours)
		i++;
	return i;
}

/* The trace header, with what filters have changed and put above Received. */
static int put_trace(struct content *c, struct octets *to)
{
	const struct milter_edits *e = &c->edits;
	struct span top, ours, first, below;
	int r;

	split_trace(c, &top, &ours);
	below = top;
	span_take_line(&below);
	first = (struct span){ top.p, top.n - below.n };
	r = octets_put(to, c->return_path.n ? octets_span(&c->return_path) : first,
		SIZE_MAX / 4);
	if (r == 0)
		r = octets_put(to, octets_span(&c->mark), SIZE_MAX / 4);
	if (r == 0)
		r = octets_put(to, below, SIZE_MAX / 4);
	if (r == 0 && !c->parsed)
		r = octets_put(to, ours, SIZE_MAX / 4);
	for (size_t i = 0; c->parsed && i <= find_ours(e) && i < e->n && r == 0; i++)
		r = octets_put(to, e->fields[i].text, SIZE_MAX / 4);
	return r;
}

/* All that is below the trace header, in the form that filters gave it. */
static const struct reply *put_changed(struct filters_state *m, const struct tx *tx)
{
	const struct content *c = &m->content;
	struct milter_walk walk = { .field = find_ours(&c->edits) + 1 };
	struct span text = octets_span(&c->text);
	const struct reply *r = NULL;
	char octets[PIECE_MAX];
	struct buf b = BUF(octets);
	bool done;

	do {
		b.n = 0;
		done = milter_edits_put(&c->edits, &walk, &b);
		r = stages_body(&m->host.delivery, tx, buf_span(&b));
	} while (!done && !r);
	if (r)
		return r;
	/* a header may end with a line that is no field, and with the message */
	if (!c->body_replaced && (c->header.n_separator || !body_of(c).n))
		return stages_body(&m->host.delivery, tx, span_from(text, c->header.n));
	r = stages_body(&m->host.delivery, tx, SPAN("\n"));
	return r ? r : stages_body(&m->host.delivery, tx, body_of(c));
}

const struct reply *content_deliver(struct filters_state *m, const struct tx *tx)
{
	CLEANUP(octets_done) struct octets trace = { .p = NULL };
	struct content *c = &m->content;
	const struct stages *to = &m->host.delivery;
	const struct reply *r;

	if (put_trace(c, &trace) < 0)
		return m->host.reply(REPLY_NO_MEMORY);
	r = stages_data(to, tx, octets_span(&trace));
	if (r)
		return r;
	return is_changed(c) ? put_changed(m, tx)
			     : stages_body(to, tx, octets_span(&c->text));
}

void content_clear(struct content *c)
{
	octets_clear(&c->text);
	octets_clear(&c->trace);
	octets_clear(&c->return_path);
	octets_clear(&c->mark);
	octets_clear(&c->body);
	octets_clear(&c->new_body);
	c->parsed = c->body_replaced = c->has_new_body = false;
}

void content_done(struct content *c)
{
	octets_done(&c->text);
	octets_done(&c->trace);
	octets_done(&c->return_path);
	octets_done(&c->mark);
	octets_done(&c->body);
	octets_done(&c->new_body);
	free(c->edits.fields); /* and what is in one piece with them */
}
