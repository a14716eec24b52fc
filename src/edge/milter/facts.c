/* SPDX-License-Identifier: ISC */
/* What filters did with a transaction, and how long it took, for its record. */
#include "edge/milter/parts.h"
#include "proto/text.h"

/* Escapes a text into an array, and cuts it where it is too long. */
#define KEEP(to, text) keep((to), sizeof(to), (text))

static void keep(char *to, size_t size, struct span text)
{
	struct buf b = { .p = to, .cap = size };

	text_escape(&b, text, size - 1);
	buf_terminate(&b);
}

void facts_note(
	struct filters_state *m, const struct filter *f, const struct reply *refusal)
{
	struct filters_facts *to = &m->facts;

	/* the end of the session is no effect of the filter */
	if (f->link.interrupted)
		return;
	if (refusal)
		to->refusal = refusal;
	if (f->failed)
		to->effect = FILTER_FAILED;
	else if (refusal)
		to->effect = FILTER_REFUSED;
	else if (m->discard)
		to->effect = FILTER_DISCARDED;
	else
		return;
	KEEP(to->actor, f->setting.address);
	if (!f->failed)
		return;
	KEEP(to->why, span_of(f->link.fault));
	to->action = milter_default_word(f->setting.default_action);
}

static void put_number(struct buf *b, size_t n, const char *one, const char *several)
{
	if (!n)
		return;
	buf_put(b, SPAN(", "));
	buf_put_num(b, n);
	buf_put_str(b, n > 1 ? several : one);
}

/* The name of a filter, without what separates filters. */
static void put_name(struct buf *b, const struct filter *f)
{
	char text[FILTER_NAME_MAX];
	struct buf name = BUF(text);
	struct span rest;

	text_escape(&name, f->setting.address, FILTER_NAME_MAX - 1);
	for (rest = buf_span(&name); rest.n; rest = span_from(rest, 1)) {
		if (*rest.p == '|')
			buf_put(b, SPAN("\\x7C"));
		else
			buf_put_char(b, *rest.p);
	}
}

static void put_filter(
	struct buf *b, const struct filters_state *m, const struct filter *f)
{
	bool is_quarantine = m->quarantine && m->quarantiner == f && !f->failed;

	if (b->n)
		buf_put_char(b, '|');
	put_name(b, f);
	buf_put(b, SPAN(": "));
	buf_put_str(b, is_quarantine ? "quarantine" : f->verdict);
	put_number(b, f->n_refused, " recipient refused", " recipients refused");
	put_number(b, f->n_edits, " edit", " edits");
	put_number(b, f->n_late, " edit behind its verdict", " edits behind its verdict");
	if (f->field_notes & MILTER_FIELD_CUT)
		buf_put(b, SPAN(", saw fields cut at 64 KiB"));
	if (f->field_notes & MILTER_FIELD_NUL)
		buf_put(b, SPAN(", saw ? for NUL"));
	buf_put(b, SPAN(", "));
	buf_put_num(b, f->link.spent);
	buf_put(b, SPAN(" ms"));
}

/* The engine's clock stands still while a filter is waited for. */
static void note_step(struct filters_state *m, uint64_t before)
{
	struct filters_facts *to = &m->facts;
	uint64_t now = m->host.session->now.milliseconds;

	if (to->step != now)
		to->step_milliseconds = 0;
	to->step = now;
	to->step_milliseconds += to->milliseconds - before;
}

static void note_wait(struct filters_facts *to, const struct filter *f)
{
	to->milliseconds += f->link.spent;
	if (f->link.spent <= to->slow.milliseconds)
		return;
	KEEP(to->slow.name, f->setting.address);
	to->slow.milliseconds = f->link.spent;
	if (to->slow.milliseconds > to->slowest.milliseconds)
		to->slowest = to->slow;
}

static void note_quarantine(struct filters_state *m)
{
	KEEP(m->facts.quarantine, span_of(m->quarantine));
	if (m->facts.effect != FILTER_NO_EFFECT || !m->quarantiner)
		return;
	KEEP(m->facts.actor, m->quarantiner->setting.address);
	m->facts.effect = FILTER_QUARANTINED;
}

void facts_write(struct filters_state *m)
{
	struct filters_facts *to = &m->facts;
	struct buf b = { .p = to->text, .cap = sizeof(to->text) - 1 };
	uint64_t before = to->milliseconds;

	to->milliseconds = 0;
	for (size_t i = 0; i < m->n; i++) {
		size_t whole = b.n;
		if (!m->list[i].verdict)
			continue;
		put_filter(&b, m, &m->list[i]);
		if (b.overflow)
			b.n = whole;
		note_wait(to, &m->list[i]);
	}
	if (m->spared && b.n) {
		buf_put(&b, SPAN("|without effect: milters=off"));
		to->effect = FILTER_NO_EFFECT;
	}
	to->text[b.n < sizeof(to->text) ? b.n : sizeof(to->text) - 1] = '\0';
	note_step(m, before);
	if (m->quarantine && !m->spared)
		note_quarantine(m);
}

void facts_clear(struct filters_facts *facts)
{
	struct filter_wait slowest = facts->slowest;

	*facts = (struct filters_facts){ .slowest = slowest };
}
