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
} events[MILTER_EVENTS] = {
	[MILTER_CONNECT] = { MILTER_NO_CONNECT, MILTER_NR_CONNECT },
	[MILTER_HELO] = { MILTER_NO_HELO, MILTER_NR_HELO },
	[MILTER_MAIL] = { MILTER_NO_MAIL, MILTER_NR_MAIL },
	[MILTER_RCPT] = { MILTER_NO_RCPT, MILTER_NR_RCPT },
	[MILTER_DATA] = { MILTER_NO_DATA, MILTER_NR_DATA },
	[MILTER_FIELD] = { MILTER_NO_FIELDS, MILTER_NR_FIELDS },
	[MILTER_END_OF_HEADER] = { MILTER_NO_END_OF_HEADER, MILTER_NR_END_OF_HEADER },
	[MILTER_BODY] = { MILTER_NO_BODY, MILTER_NR_BODY },
	[MILTER_END] = { 0, 0 },
	[MILTER_UNKNOWN] = { MILTER_NO_UNKNOWN, MILTER_NR_UNKNOWN },
};

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
	if (t->terms.options & events[event].silent)
		return true;
	if (t->n_owed == MILTER_OWED_MAX)
		return false;
	t->owed[t->n_owed++] = (unsigned char)event;
	return true;
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
