/* SPDX-License-Identifier: ISC */
/* Compares the result of a session with the dialogue: files, records and reports, and no others. */
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

/* Each mailbox in the list has one more file. */
static bool check_mailboxes(
	struct way *w, const struct dialogue *d, struct complaint *ret)
{
	struct span list = d->mailboxes;

	for (size_t i = 0; list.n; i++) {
		const char *comma = memchr(list.p, ',', list.n);
		size_t n = comma ? (size_t)(comma - list.p) : list.n;
		const char *mailbox =
			i < w->stored.n ? w->stored.list[i].mailbox : "nobody";
		if (!span_eq((struct span){ list.p, n }, span_of(mailbox)))
			return complain(ret, d->stored.line, "file %zu went to %s", i + 1,
				mailbox);
		list = span_from(list, n + (comma != NULL));
		while (list.n && *list.p == ' ')
			list = span_from(list, 1);
	}
	return true;
}

/* The wanted messages in the order of their delivery; one of several recipients counts
 * once. */
static bool check_messages(const struct stored_files *found,
	const struct wanted_files *wanted, struct complaint *ret)
{
	size_t at = 0;

	for (size_t i = 0; i < wanted->n_messages; i++) {
		const struct wanted_message *m = &wanted->messages[i];
		struct span content;
		while (i && at < found->n &&
			strcmp(found->list[at].file, found->list[at - 1].file) == 0)
			at++;
		if (at == found->n)
			return complain(ret, m->line, "no such message");
		content = found->list[at++].content;
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

/* Compares the number and content of files. */
static bool check_files(struct stored_files *found, const struct wanted_files *wanted,
	const char *what, struct complaint *ret)
{
	if (found->n)
		qsort(found->list, found->n, sizeof(*found->list), by_file);
	if (found->n != wanted->n && !wanted->any)
		return complain(ret, wanted->line, "%zu %s, %zu were to be%s%.*s",
			found->n, what, wanted->n, found->n ? ":\n" : "",
			found->n ? (int)found->list[0].content.n : 0,
			found->n ? found->list[0].content.p : "");
	return check_messages(found, wanted, ret);
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

/* Each session has one record. */
static bool check_sessions(struct way *w, struct complaint *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_records; i++)
		n += w->records[i].event == RECORD_SESSION;
	return n == 1 || complain(ret, 0, "%zu records of one session", n);
}

bool check_outcome(struct way *w, const struct dialogue *d, struct complaint *ret)
{
	if (!check_files(&w->stored, &d->stored, "files stored", ret) ||
		!check_files(&w->reports, &d->reports, "reports", ret) ||
		!check_sessions(w, ret) || !check_mailboxes(w, d, ret))
		return false;
	for (size_t i = 0; i < d->n_fields; i++)
		if (!check_field(w, &d->fields[i], ret))
			return false;
	return true;
}
