/* SPDX-License-Identifier: ISC */
/*
 * The state of a conversation with a filter: which events it still gets and which answers
 * it owes. What a filter says about one message is forgotten when the message ends.
 */
#include "proto/milter.h"

#define BIT(n) (UINT32_C(1) << (n))

/* The options by which an event is off, and by which it has no answer; 0: none does. */
static const struct {
	uint32_t off, silent;
	const char *word;
} events[MILTER_EVENTS] = {
	[MILTER_CONNECT] = { MILTER_NO_CONNECT, MILTER_NR_CONNECT, "CONNECT" },
	[MILTER_HELO] = { MILTER_NO_HELO, MILTER_NR_HELO, "HELO" },
	[MILTER_MAIL] = { MILTER_NO_MAIL, MILTER_NR_MAIL, "MAIL" },
	[MILTER_RCPT] = { MILTER_NO_RCPT, MILTER_NR_RCPT, "RCPT" },
	[MILTER_DATA] = { MILTER_NO_DATA, MILTER_NR_DATA, "DATA" },
	[MILTER_FIELD] = { MILTER_NO_FIELDS, MILTER_NR_FIELDS, "header field" },
	[MILTER_END_OF_HEADER] = { MILTER_NO_END_OF_HEADER, MILTER_NR_END_OF_HEADER,
		"end of header" },
	[MILTER_BODY] = { MILTER_NO_BODY, MILTER_NR_BODY, "body" },
	[MILTER_END] = { 0, 0, "end of message" },
	[MILTER_UNKNOWN] = { MILTER_NO_UNKNOWN, MILTER_NR_UNKNOWN, "unknown command" },
};

const char *milter_event_word(enum milter_event event)
{
	return events[event].word;
}

void milter_talk_begin(struct milter_talk *t, const struct milter_terms *terms)
{
	*t = (struct milter_talk){ .terms = *terms };
}

bool milter_wants(const struct milter_talk *t, enum milter_event event)
{
	return !t->session_accepted && !t->message_accepted &&
	       !(t->terms.options & events[event].off) && !(t->skipped & BIT(event));
}

bool milter_wants_rejected(const struct milter_talk *t)
{
	return milter_wants(t, MILTER_RCPT) && t->terms.options & MILTER_REJECTED_RCPT;
}

bool milter_sent(struct milter_talk *t, enum milter_event event)
{
	t->ended = false;
	if (t->terms.options & events[event].silent)
		return true;
	if (t->n_owed == MILTER_OWED_MAX)
		return false;
	t->owed[t->n_owed++] = (unsigned char)event;
	return true;
}

void milter_drops_answer(struct milter_talk *t)
{
	t->n_late = t->n_owed;
}

bool milter_is_silent(const struct milter_talk *t)
{
	uint32_t silent = 0;

	for (size_t i = 0; i < MILTER_EVENTS; i++)
		silent |= events[i].silent;
	return t->terms.options & silent;
}

bool milter_owes(const struct milter_talk *t)
{
	return t->n_owed > 0;
}

void milter_talk_reset(struct milter_talk *t)
{
	t->message_accepted = false;
	t->skipped = 0;
	t->n_late = t->n_owed;
}
