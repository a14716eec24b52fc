/* SPDX-License-Identifier: ISC */
/*
 * The conversation with a filter in the trace of its session, a line for each event and
 * each answer: "unix:/run/x.sock < RCPT <user@example.net>". Lines and their number are
 * bounded. Of fields only the name is in it, of a body the length, and of macros nothing.
 */
#include "edge/milter/parts.h"
#include "proto/text.h"

#define LINE_MAX_OCTETS 400
#define SHOWN_MAX 240 /* octets of a name, a value or a reply */
#define LINES_MAX 200 /* for each message and filter */

static void put_line(struct filter *f, char mark, const struct buf *text)
{
	struct tracer *t = f->session->tracer;
	char octets[LINE_MAX_OCTETS];
	struct buf b = BUF(octets);

	if (f->n_traced > LINES_MAX)
		return;
	text_escape(&b, f->setting.address, FILTER_NAME_MAX - 1);
	buf_put_char(&b, ' ');
	buf_put_char(&b, mark);
	buf_put_char(&b, ' ');
	buf_put(&b, f->n_traced++ < LINES_MAX ? buf_span(text) : SPAN("..."));
	t->filter(t, buf_span(&b));
}

static bool is_traced(const struct filter *f)
{
	return f->session && f->session->tracer;
}

static void put_text(struct buf *b, struct span text)
{
	if (!text.n)
		return;
	buf_put_char(b, ' ');
	text_escape(b, text, SHOWN_MAX);
}

void trace_event(struct filter *f, enum milter_event event, struct span text)
{
	char octets[LINE_MAX_OCTETS];
	struct buf b = BUF(octets);

	if (!is_traced(f))
		return;
	buf_put_str(&b, milter_event_word(event));
	if (event == MILTER_FIELD)
		text.n = text_field_name(text);
	if (event == MILTER_BODY) {
		buf_put(&b, SPAN(" of "));
		buf_put_num(&b, text.n);
		buf_put(&b, SPAN(" octets"));
	} else {
		put_text(&b, text);
	}
	put_line(f, '<', &b);
}

static void put_value(struct buf *b, const struct milter_answer *a)
{
	char octets[FILTER_REPLY_MAX];
	struct buf reply = BUF(octets);

	if (a->kind == MILTER_REPLY) {
		buf_put_char(b, ' ');
		buf_put_num(b, a->code);
		put_text(b, span_of(a->enhanced));
		milter_put_reply(&reply, a->value, ' ');
		put_text(b, buf_span(&reply));
	} else if (a->kind == MILTER_BODY_PIECE) {
		buf_put(b, SPAN(" of "));
		buf_put_num(b, a->value.n);
		buf_put(b, SPAN(" octets"));
	} else {
		put_text(b, a->name);
		put_text(b, a->value);
	}
}

void trace_answer(struct filter *f, const struct milter_answer *a)
{
	char octets[2 * LINE_MAX_OCTETS];
	struct buf b = BUF(octets);

	/* these are many, and have no effect */
	if (!is_traced(f) ||
		(a->kind == MILTER_CONTINUE &&
			(a->event == MILTER_FIELD || a->event == MILTER_BODY)))
		return;
	buf_put_str(&b, milter_kind_word(a->kind));
	put_value(&b, a);
	if (b.n > SHOWN_MAX)
		b.n = SHOWN_MAX;
	put_line(f, '>', &b);
}

void trace_terms(struct filter *f)
{
	const struct milter_terms *t = &f->talk.terms;
	char octets[2 * LINE_MAX_OCTETS];
	struct buf b = BUF(octets);

	if (!is_traced(f))
		return;
	buf_put(&b, SPAN("version "));
	buf_put_num(&b, t->version);
	buf_put(&b, SPAN(", actions "));
	milter_put_actions(&b, t->actions);
	if (b.n > SHOWN_MAX)
		b.n = SHOWN_MAX;
	put_line(f, '>', &b);
}

void trace_failure(struct filter *f)
{
	char octets[LINE_MAX_OCTETS];
	struct buf b = BUF(octets);

	if (!is_traced(f))
		return;
	text_escape(&b, span_of(f->link.fault), SHOWN_MAX);
	put_line(f, '!', &b);
}
