/* SPDX-License-Identifier: ISC */
/*
 * Shows a message to filters, and keeps what they want to be changed. The edits of a
 * filter count only with its verdict. A fault of this host refuses the message, whatever
 * the default actions of filters are.
 */
#include <stdio.h>
#include "edge/milter/parts.h"

#define FIELD_ROOM (MILTER_DATA_MAX + 1024) /* the longest that is sent, and its name */
#define FIELD_MORE 64 /* octets of an event that are not of the field */
#define FIELDS_MORE 16
#define FIELDS_USUAL 64
#define TEXT_USUAL (32 * 1024)
#define PIECE_MAX (16 * 1024)
/* edits that are read after a refusal; a filter may send fewer for any message */
#define DROPPED_MAX (4 * MILTER_FIELDS_MAX)

/*
 * COST: some 50 us of a session with a filter (tests/bench, work `filtered`); without it:
 * room for all fields and edits that there may be is 2 MiB, which the kernel maps anew.
 */
static int make_room(struct milter_edits *e, size_t n)
{
	size_t cap = n < MILTER_FIELDS_MAX ? n : MILTER_FIELDS_MAX;
	struct milter_field *memory;

	if (e->cap >= cap)
		return 0;
	/* one allocation, because each has a header of its own, and so touches a page */
	memory = malloc(2 * cap * sizeof(*memory));
	if (!memory)
		return -ENOMEM;
	if (e->fields) {
		memcpy(memory, e->fields, e->n * sizeof(*memory));
		memcpy(memory + cap, e->saved, e->n_saved * sizeof(*memory));
		free(e->fields);
	}
	e->fields = memory;
	e->saved = memory + cap;
	e->cap = cap;
	return 0;
}

/* Room for one more edit. Text of new fields never moves, as fields point to it. */
static int make_room_for_edit(struct milter_edits *e)
{
	if (!e->text.p) {
		e->text.p = malloc(MILTER_NEW_TEXT_MAX);
		e->text.cap = e->text.p ? MILTER_NEW_TEXT_MAX : 0;
	}
	if (!e->text.p)
		return -ENOMEM;
	return e->n < e->cap ? 0 : make_room(e, 2 * e->cap);
}

static size_t count_lines(struct span text)
{
	size_t n = 0;

	for (; text.n; n++)
		span_take_line(&text);
	return n;
}

/*
 * Makes the list of fields, once for all filters. NULL or a refusal: a header that
 * filters cannot be shown is no failure of theirs, so no default action lets it pass.
 */
static const struct reply *parse(struct filters_state *m)
{
	struct content *c = &m->content;
	struct span top, ours, text = octets_span(&c->text.head);
	const char *wrong;

	if (c->parsed)
		return NULL;
	milter_header_find(text, true, &c->header); /* true: the text is complete */
	text.n = c->header.n;
	/* and ours, and some of filters */
	if (make_room(&c->edits, count_lines(text) + FIELDS_MORE) < 0)
		return m->host.reply(REPLY_NO_MEMORY);
	content_split_trace(c, &top, &ours);
	wrong = milter_edits_begin(&c->edits, ours, text);
	if (wrong)
		return m->host.reply(REPLY_FILTER_HEADER);
	c->parsed = true;
	return NULL;
}

struct body content_text(struct content *c)
{
	return (struct body){ .from = &c->text, .room = c->room };
}

struct body content_body(struct content *c)
{
	struct body body = content_text(c);

	if (c->body_replaced)
		body.from = &c->body;
	else
		body.at = c->header.n + c->header.n_separator;
	return body;
}

int body_next(struct body *b)
{
	struct buf room = { .p = b->room, .cap = BODY_PIECE_MAX };
	int r = spool_get(b->from, b->at, &room, &b->text);

	if (r == 0)
		b->at += b->text.n;
	return r;
}

const struct reply *content_fail(struct filters_state *m, int error)
{
	enum reply_name name = REPLY_STORE_FAILED;

	if (error == -ENOMEM)
		name = REPLY_NO_MEMORY;
	if (error == -ENOSPC || error == -EDQUOT)
		name = REPLY_STORE_FULL;
	if (!m->stage.fault) {
		snprintf(m->fault, sizeof(m->fault), "%s%s: %s",
			m->directory < 0 ? "memory in place of " : "", m->directory_path,
			strerror(-error));
		m->stage.fault = m->fault;
	}
	return m->host.reply(name);
}

/* Each of these returns 0 or -errno, with a fault, and sets *ret_refusal. */

/* True when the filter gets no more events of this message. */
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

/* The next piece of the body. */
static int put_piece(struct filters_state *m, struct filter *f, struct body *body,
	bool *cr, const struct reply **ret)
{
	uint64_t left = spool_size(body->from) - body->at + body->text.n;
	size_t most = left < MILTER_CHUNK_MAX / 2 ? 2 * (size_t)left : MILTER_CHUNK_MAX;
	struct buf b, data;
	int r = filter_room(f, MILTER_FRAME_HEAD + most, &b);

	if (r < 0)
		return r;
	data = (struct buf){ .p = b.p + MILTER_FRAME_HEAD, .cap = most };
	do {
		milter_put_crlf(&data, &body->text, cr);
		if (body->text.n == 0)
			r = body_next(body);
	} while (r == 0 && body->text.n && buf_room(&data));
	if (r < 0) {
		*ret = content_fail(m, r);
		return 0;
	}
	b.cap = MILTER_FRAME_HEAD;
	milter_put_body_head(&b, data.n);
	b.n += data.n;
	milter_sent(&f->talk, MILTER_BODY);
	trace_event(f, MILTER_BODY, buf_span(&data));
	return filter_end_event(f, &b);
}

static int ask_body(struct filters_state *m, struct filter *f, const struct reply **ret)
{
	struct body body = content_body(&m->content);
	bool cr = false;
	int r = body_next(&body);

	if (r < 0) {
		*ret = content_fail(m, r);
		return 0;
	}
	while (r == 0 && !is_over(m, f, *ret) && body.text.n &&
		milter_wants(&f->talk, MILTER_BODY)) {
		r = put_piece(m, f, &body, &cr, ret);
		if (r == 0 && !*ret)
			*ret = filter_await(m, f);
	}
	return r;
}

/*
 * An edit is beyond a limit, which the client can bring about by a message that is just
 * below it: that is no failure of the filter, so no default action lets the message pass,
 * and the filter is asked about the next one.
 */
static void exceed(struct content *c, const struct reply *refusal)
{
	if (!c->refusal)
		c->refusal = refusal;
}

/* A piece of a replacement body. */
static void take_body(struct filters_state *m, struct span piece)
{
	struct content *c = &m->content;
	uint64_t limit = m->host.session->settings->size_limit;
	int r = 0;

	if (!c->has_new_body)
		spool_clear(&c->new_body);
	c->has_new_body = true;
	/* lines of BINARYMIME keep their ends */
	if (c->binary && !c->refusal)
		r = spool_put(&c->new_body, m->directory, piece);
	while (r == 0 && piece.n && !c->binary && !c->refusal) {
		struct buf b = { .p = c->room, .cap = BODY_PIECE_MAX };
		milter_put_lf(&b, &piece, &c->new_body_cr);
		r = spool_put(&c->new_body, m->directory, buf_span(&b));
	}
	if (r < 0)
		c->refusal = content_fail(m, r);
	if (limit && spool_size(&c->new_body) > limit)
		exceed(c, m->host.reply(REPLY_SIZE_ACTUAL));
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
	if (c->refusal) {
		if (++c->n_dropped > DROPPED_MAX)
			return link_fail(&f->link, "sends edits without end", 0);
		return 0;
	}
	if (a->kind == MILTER_BODY_PIECE) {
		take_body(m, a->value);
		return 0;
	}
	if (a->kind == MILTER_QUARANTINE && !m->host.quarantine)
		return link_fail(&f->link,
			"wants a quarantine, and quarantine-mailbox is not set", 0);
	if (a->kind != MILTER_ADD && a->kind != MILTER_INSERT && a->kind != MILTER_CHANGE)
		return changes_put(m, f, a);
	if (make_room_for_edit(&c->edits) < 0) {
		exceed(c, content_fail(m, -ENOMEM));
		return 0;
	}
	wrong = milter_edits_apply(&c->edits, a, f->talk.terms.options);
	if (wrong && !c->edits.full)
		return link_fail(&f->link, wrong, 0);
	if (wrong)
		exceed(c, m->host.reply(REPLY_FILTER_HEADER));
	return 0;
}

/* Reads the edits and the verdict of the filter. */
static int take_verdict(
	struct filters_state *m, struct filter *f, const struct reply **ret)
{
	uint64_t end = stream_clock() + 1000ULL * FILTER_PROGRESS_MAX;
	struct milter_answer a;
	int r;

	do {
		if (stream_clock() > end)
			return link_fail(&f->link, "gives no verdict for an hour", 0);
		r = filter_answer(f, f->setting.content_timeout, &a);
		if (r == 0 && !milter_is_verdict(a.kind))
			r = edit(m, f, &a);
	} while (r == 0 && !milter_is_verdict(a.kind));
	if (r < 0)
		return r;
	*ret = filter_verdict(m, f, &a);
	/* after a refusal more input is no error here: the next message finds it */
	if (!*ret && filter_may_go_on(f))
		r = filter_drop_late(f);
	if (r == 0 && m->content.refusal && !*ret)
		*ret = m->content.refusal;
	return r;
}

static int ask_end(struct filters_state *m, struct filter *f, const struct tx *tx,
	const struct reply **ret)
{
	struct buf b;
	int r = put_macros(m, f, tx, MILTER_END, &b);

	if (r < 0)
		return r;
	f->link.in_turn = false; /* the verdict must be that on this event */
	milter_put_end(&b);
	milter_sent(&f->talk, MILTER_END);
	trace_event(f, MILTER_END, SPAN(""));
	r = filter_end_event(f, &b);
	if (r == 0)
		r = link_flush(&f->link, f->setting.content_timeout);
	return r < 0 ? r : take_verdict(m, f, ret);
}

/*
 * Makes the changes of the filter valid after its verdict. The last line of a new body
 * gets a line end, as every message has one, except with BINARYMIME. 0 or -errno.
 */
static int keep_body(struct filters_state *m)
{
	struct content *c = &m->content;
	struct spool old = c->body;
	char end[2];
	struct buf b = BUF(end);
	int r;

	if (!c->has_new_body)
		return 0;
	milter_put_lf_end(&b, &c->new_body_cr);
	if (!c->binary && spool_size(&c->new_body) && (b.n || c->new_body.last != '\n'))
		buf_put_char(&b, '\n');
	r = spool_put(&c->new_body, m->directory, buf_span(&b));
	c->body = c->new_body;
	c->new_body = old;
	c->body_replaced = true;
	c->has_new_body = false;
	return r;
}

static int converse(struct filters_state *m, struct filter *f, const struct tx *tx,
	const struct reply **ret)
{
	int r;

	*ret = parse(m);
	if (*ret)
		return 0;
	milter_edits_save(&m->content.edits);
	m->content.binary = tx->params.body == BODY_BINARYMIME;
	m->content.has_new_body = m->content.new_body_cr = false;
	f->link.in_turn = false;
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
		int r = refusal ? 0 : keep_body(m);
		return r < 0 ? content_fail(m, r) : refusal;
	}
	if (m->content.parsed)
		milter_edits_restore(&m->content.edits);
	m->content.has_new_body = false;
	/* none of its changes is made, so they refuse no message, either */
	m->content.refusal = NULL;
	m->content.n_dropped = 0;
	changes_cut(&m->changes, n_changes);
	f->n_edits = 0;
	return f->failed ? refusal : filter_fail(m, f);
}

void content_init(struct content *c)
{
	spool_init(&c->text);
	spool_init(&c->body);
	spool_init(&c->new_body);
}

void content_make_room(struct content *c)
{
	make_room(&c->edits, FIELDS_USUAL);
	octets_reserve(&c->trace, 1, SIZE_MAX);
	octets_reserve(&c->new_trace, 1, SIZE_MAX);
}

int content_make_room_for_text(struct content *c)
{
	octets_reserve(&c->text.head, TEXT_USUAL, SIZE_MAX);
	c->room = malloc(BODY_PIECE_MAX);
	return c->room ? 0 : -ENOMEM;
}

void content_clear(struct content *c)
{
	spool_clear(&c->text);
	spool_clear(&c->body);
	spool_clear(&c->new_body);
	octets_clear(&c->trace);
	octets_clear(&c->new_trace);
	octets_clear(&c->return_path);
	octets_clear(&c->mark);
	c->parsed = c->body_replaced = c->has_new_body = false;
	c->refusal = NULL;
	c->n_dropped = 0;
}

void content_done(struct content *c)
{
	spool_done(&c->text);
	spool_done(&c->body);
	spool_done(&c->new_body);
	octets_done(&c->trace);
	octets_done(&c->new_trace);
	octets_done(&c->return_path);
	octets_done(&c->mark);
	free(c->edits.fields); /* and the rest of that allocation */
	free(c->edits.text.p);
	free(c->room);
}
