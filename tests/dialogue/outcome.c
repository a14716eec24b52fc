/* Promises that what is left of a session is what the dialogue wants, and no more. */
#include <stdio.h>
#include <stdlib.h>
#include "pattern.h"
#include "way.h"

#define SHOWN_MAX 1500 /* octets of a message that a complaint quotes */

static int by_file(const void *a, const void *b)
{
	const struct stored *x = a, *y = b;
	int order = strverscmp(x->file, y->file);

	return order ? order : strcmp(x->mailbox, y->mailbox);
}

/* Each mailbox of the list has one file more than the list before it says. */
static bool check_mailboxes(
	struct way *w, const struct dialogue *d, struct complaint *ret)
{
	struct span list = d->mailboxes;

	for (size_t i = 0; list.n; i++) {
		const char *comma = memchr(list.p, ',', list.n);
		size_t n = comma ? (size_t)(comma - list.p) : list.n;
		if (i >= w->n_stored || !span_eq((struct span){ list.p, n },
						span_of(w->stored[i].mailbox)))
			return complain(ret, d->stored_line, "file %zu went to %s", i + 1,
				i < w->n_stored ? w->stored[i].mailbox : "nobody");
		list = span_from(list, n + (comma != NULL));
		while (list.n && *list.p == ' ')
			list = span_from(list, 1);
	}
	return true;
}

/* The wanted messages in the order of their delivery; one of several recipients counts
 * once. */
static bool check_messages(struct way *w, const struct dialogue *d, struct complaint *ret)
{
	size_t at = 0;

	for (size_t i = 0; i < d->n_messages; i++) {
		const struct wanted_message *m = &d->messages[i];
		struct span content;
		while (i && at < w->n_stored &&
			strcmp(w->stored[at].file, w->stored[at - 1].file) == 0)
			at++;
		if (at == w->n_stored)
			return complain(ret, m->line, "no such message");
		content = w->stored[at++].content;
		if (content.n == 0 || content.p[content.n - 1] != '\n')
			return complain(ret, m->line, "its last line has no end");
		content.n--;
		if (!pattern_matches(m->pattern, content))
			return complain(ret, m->line, "stored was:\n%.*s",
				(int)(content.n < SHOWN_MAX ? content.n : SHOWN_MAX),
				content.p);
	}
	return true;
}

static const struct span *find_field(const struct kept_record *r, struct span name)
{
	for (size_t i = 0; i < r->n; i++)
		if (span_eq(r->fields[i].name, name))
			return &r->fields[i].value;
	return NULL;
}

/* Some record of that kind has the field so, or, for an absent one, none has it. */
static bool check_field(
	struct way *w, const struct wanted_field *f, struct complaint *ret)
{
	struct text seen = { 0 };

	for (size_t i = 0; i < w->n_records; i++) {
		const struct span *value = find_field(&w->records[i], f->name);
		if (w->records[i].event != f->event || !value)
			continue;
		if (!f->absent && pattern_matches(f->pattern, *value))
			return true;
		text_put_char(&w->arena, &seen, ' ');
		text_put(&w->arena, &seen, *value);
	}
	if (f->absent && seen.n == 0)
		return true;
	return complain(ret, f->line, "%.*s in the records:%s", (int)f->name.n, f->name.p,
		seen.n ? seen.p : " none");
}

/* Each session is told once. */
static bool check_sessions(struct way *w, struct complaint *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_records; i++)
		n += w->records[i].event == RECORD_SESSION;
	return n == 1 || complain(ret, 0, "%zu records of one session", n);
}

bool check_outcome(struct way *w, const struct dialogue *d, struct complaint *ret)
{
	if (w->n_stored)
		qsort(w->stored, w->n_stored, sizeof(*w->stored), by_file);
	if (w->n_stored != d->n_stored && !d->stored_any)
		return complain(ret, d->stored_line,
			"%zu files stored, %zu were to be%s%.*s", w->n_stored,
			d->n_stored, w->n_stored ? ":\n" : "",
			w->n_stored ? (int)w->stored[0].content.n : 0,
			w->n_stored ? w->stored[0].content.p : "");
	if (!check_sessions(w, ret) || !check_mailboxes(w, d, ret) ||
		!check_messages(w, d, ret))
		return false;
	for (size_t i = 0; i < d->n_fields; i++)
		if (!check_field(w, &d->fields[i], ret))
			return false;
	return true;
}
