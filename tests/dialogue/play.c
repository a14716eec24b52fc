/* SPDX-License-Identifier: ISC */
/*
 * Plays the steps of a dialogue. The server must send the expected replies, and no others. A way (way.h) is the
 * server.
 */
#include <stdarg.h>
#include <stdio.h>
#include "way.h"

#define SHOWN_MAX 200 /* octets of what came that a complaint quotes */

bool way_fail(struct way *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->fault, sizeof(w->fault), format, args);
	va_end(args);
	return false;
}

void way_keep_message(
	struct way *w, const char *mailbox, const char *file, struct span content)
{
	struct stored_files *to = mailbox ? &w->stored : &w->reports;

	to->list = arena_more(&w->arena, to->list, to->n, sizeof(*to->list));
	to->list[to->n++] = (struct stored){
		.mailbox = arena_copy(&w->arena, span_of(mailbox ? mailbox : "")),
		.file = arena_copy(&w->arena, span_of(file)),
		.content = { arena_copy(&w->arena, content), content.n },
	};
}

struct kept_record *way_keep_record(struct way *w, enum record_event event)
{
	w->records = arena_more(&w->arena, w->records, w->n_records, sizeof(*w->records));
	w->records[w->n_records] = (struct kept_record){ .event = event };
	return &w->records[w->n_records++];
}

void way_keep_field(
	struct way *w, struct kept_record *r, struct span name, struct span value)
{
	if (r->n == RECORD_KEYS)
		return;
	r->fields[r->n].name = (struct span){ arena_copy(&w->arena, name), name.n };
	r->fields[r->n++].value = (struct span){ arena_copy(&w->arena, value), value.n };
}

/* Nothing may have come that no step has asked for. */
static bool is_silent(struct way *w, struct complaint *ret, size_t line)
{
	if (w->got.n == 0)
		return true;
	return complain(ret, line, "came unasked: %.*s",
		(int)(w->got.n < SHOWN_MAX ? w->got.n : SHOWN_MAX), w->got.p);
}

static bool expect_reply(struct way *w, const struct step *step, struct complaint *ret)
{
	size_t n;
	bool ok;

	while (!(n = reply_length(text_span(&w->got))))
		if (!w->ops->more(w))
			return complain(ret, step->line, "no reply: %s%s",
				w->fault[0] ? w->fault
				: w->closed ? "the server has closed"
					    : "it says nothing",
				w->got.n ? ", after half a line" : "");
	ok = reply_check(
		&w->arena, (struct span){ w->got.p, n }, &step->expect, ret, step->line);
	text_drop(&w->got, n);
	return ok;
}

static bool expect_close(struct way *w, const struct step *step, struct complaint *ret)
{
	while (!w->closed && w->ops->more(w))
		;
	return is_silent(w, ret, step->line) &&
	       (w->closed || complain(ret, step->line, "the server has not closed %s",
				     w->fault));
}

static bool play_step(
	struct way *w, const struct step *step, bool first, struct complaint *ret)
{
	if (step->kind == STEP_EXPECT)
		return expect_reply(w, step, ret);
	/* a client that speaks first has not seen the greeting yet */
	if (!first && !is_silent(w, ret, step->line))
		return false;
	if (step->kind == STEP_CLOSED)
		return expect_close(w, step, ret);
	if (step->kind == STEP_SEND ? w->ops->send(w, step->octets)
				    : w->ops->event(w, step->kind))
		return true;
	return complain(ret, step->line, "%s", w->fault);
}

bool play(struct way *w, const struct dialogue *d, struct complaint *ret)
{
	for (size_t i = 0; i < d->n_steps && !w->over; i++)
		if (!play_step(w, &d->steps[i], i == 0, ret)) {
			w->ops->finish(w);
			return false;
		}
	if (!w->ops->finish(w))
		return complain(ret, 0, "at the end: %s", w->fault);
	return w->over || (is_silent(w, ret, 0) && check_outcome(w, d, ret));
}
