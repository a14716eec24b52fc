/* SPDX-License-Identifier: ISC */
/*
 * The sentences on what filters did: to a message that they kept from its recipients, or
 * for which they took long, and to a session that took long for them. No two causes share
 * one; a test compares them with the list in postern(8).
 */
#include "smtp/ending.h"
#include "smtp/explain.h"

#define SENTENCE_MAX 112
#define DOTS 3
#define FACT_SHOWN_MAX 110 /* octets of a reply, a fault or a reason */
#define SLOW_MIN 1000 /* milliseconds from which on a filter is named */

enum filters_cause {
	FILTERS_NONE, /* nothing to explain */
	FILTERS_HAD_FAILED,
	FILTERS_HAD_REFUSED,
	FILTERS_HAD_DISCARDED,
	FILTERS_HAD_QUARANTINED,
	FILTERS_SLOW,
	FILTERS_CLIENT_LEFT,
	FILTERS_SESSION_LATE,
	FILTERS_CAUSES,
};

/*
 * Facts replace `%` and a letter, see put_fact(). The texts are in the table itself, as
 * in explain.c.
 */
static const char sentences[FILTERS_CAUSES][SENTENCE_MAX] = {
	[FILTERS_HAD_FAILED] = "the filter %F %E (milters, default-action=%D)",
	[FILTERS_HAD_REFUSED] = "the filter %F refused it: %R",
	[FILTERS_HAD_DISCARDED] = "the filter %F discarded it, and the client was told "
				  "that it was accepted",
	[FILTERS_HAD_QUARANTINED] =
		"the filter %F put it into quarantine (quarantine-mailbox): %Q",
	[FILTERS_SLOW] = "the filter %S took %T (milters)",
	[FILTERS_CLIENT_LEFT] = "client closed the connection, perhaps because it did "
				"not wait: the filter "
				"%S took %T (milters)",
	[FILTERS_SESSION_LATE] = "the session took too long (session-timeout): the "
				 "filter %S took %T of it "
				 "(milters)",
};

/* What a sentence is about. */
struct subject {
	const struct session *s;
	const struct reply *refusal; /* of the message; or NULL */
	const struct filter_wait *wait; /* the slowest */
};

/* Cuts a text that is escaped already, but never inside an escape. */
static void put_cut(struct buf *to, const char *text)
{
	size_t end = to->n + FACT_SHOWN_MAX;

	while (*text) {
		struct span piece = { text, *text == '\\' ? 4 : 1 };
		if (to->n + piece.n > end) {
			buf_put(to, SPAN("..."));
			return;
		}
		buf_put(to, piece);
		text += piece.n;
	}
}

static void put_refusal(struct buf *to, const struct subject *t)
{
	char text[REPLY_LINE_MAX] = "";
	struct buf b = BUF(text);

	/* escaped when it was sent */
	if (t->refusal == t->s->tx.rcpt_refusal) {
		put_cut(to, t->s->tx.rcpt_reason);
		return;
	}
	reply_put_text(&b, t->refusal, SPAN(""));
	buf_terminate(&b);
	put_cut(to, text);
}

/* "3.1 s" */
static void put_seconds(struct buf *to, uint64_t milliseconds)
{
	buf_put_num(to, milliseconds / 1000);
	buf_put_char(to, '.');
	buf_put_num(to, milliseconds % 1000 / 100);
	buf_put(to, SPAN(" s"));
}

static void put_fact(struct buf *to, char letter, const struct subject *t)
{
	const struct filters_facts *f = t->s->filters;

	switch (letter) {
	case 'F':
		buf_put_str(to, f->actor);
		break;
	case 'E':
		put_cut(to, f->why);
		break;
	case 'D':
		buf_put_str(to, f->action);
		break;
	case 'Q':
		put_cut(to, f->quarantine[0] ? f->quarantine : "(no reason given)");
		break;
	case 'R':
		put_refusal(to, t);
		break;
	case 'S':
		buf_put_str(to, t->wait->name);
		break;
	default:
		put_seconds(to, t->wait->milliseconds);
		break;
	}
}

static void put_cause(struct buf *to, enum filters_cause cause, const struct subject *t)
{
	char text[EXPLANATION_MAX];
	struct buf b = { .p = text, .cap = sizeof(text) - DOTS };

	for (const char *p = sentences[cause]; *p; p++) {
		if (*p == '%')
			put_fact(&b, *++p, t);
		else
			buf_put_char(&b, *p);
	}
	buf_put(to, buf_span(&b));
	if (b.overflow)
		buf_put(to, SPAN("..."));
}

/* An effect that the message did not have in the end is none. */
static enum filters_cause cause_of_message(
	const struct subject *t, const struct reply *outcome)
{
	switch (t->s->filters->effect) {
	case FILTER_FAILED:
		return FILTERS_HAD_FAILED;
	case FILTER_REFUSED: /* other refusals may be more recent */
		if (t->refusal && t->refusal == t->s->filters->refusal)
			return FILTERS_HAD_REFUSED;
		break;
	case FILTER_DISCARDED:
		if (outcome == reply_get(REPLY_FILTER_DISCARDED))
			return FILTERS_HAD_DISCARDED;
		break;
	case FILTER_QUARANTINED:
		if (ending_is_delivered(outcome))
			return FILTERS_HAD_QUARANTINED;
		break;
	case FILTER_NO_EFFECT:
		break;
	}
	return t->wait->milliseconds < SLOW_MIN ? FILTERS_NONE : FILTERS_SLOW;
}

void explain_message(const struct session *s, const struct reply *outcome, struct buf *to)
{
	struct subject t = { .s = s, .refusal = ending_refusal(s, outcome) };

	t.wait = &s->filters->slow;
	put_cause(to, cause_of_message(&t, outcome), &t);
}

void explain_slow(const struct session *s, struct buf *to)
{
	struct subject t = { .s = s };
	enum filters_cause cause = FILTERS_SLOW;

	if (s->filters->slowest.milliseconds < SLOW_MIN)
		return;
	t.wait = &s->filters->slowest;
	if (s->end == END_EOF || s->end == END_BROKEN)
		cause = FILTERS_CLIENT_LEFT;
	if (s->end == END_SESSION_TIMEOUT)
		cause = FILTERS_SESSION_LATE;
	put_cause(to, cause, &t);
}
