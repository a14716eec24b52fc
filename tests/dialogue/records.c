/* SPDX-License-Identifier: ISC */
/* Parses the fields of each record in a log of "name=value" lines. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "process.h"

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* name "=" ( word / DQUOTE text DQUOTE ), and the blank after it. False at the end. */
static bool take_field(struct span *s, struct span *ret_name, struct span *ret_value)
{
	const char *equals = s->n ? memchr(s->p, '=', s->n) : NULL;
	struct span value;
	size_t n = 0;
	bool quoted;

	if (!equals)
		return false;
	*ret_name = (struct span){ s->p, (size_t)(equals - s->p) };
	value = span_from(*s, ret_name->n + 1);
	quoted = value.n && *value.p == '"';
	if (quoted)
		value = span_from(value, 1);
	while (n < value.n && value.p[n] != (quoted ? '"' : ' '))
		n++;
	*ret_value = (struct span){ value.p, n };
	*s = span_from(value, n);
	while (s->n && (*s->p == '"' || *s->p == ' '))
		*s = span_from(*s, 1);
	return true;
}

/* "postern[4242]: event=session end=quit ..." */
static void read_record(struct way *w, struct span line)
{
	const char *start = line.n ? memmem(line.p, line.n, "event=", 6) : NULL;
	enum record_event event;
	struct kept_record *r;
	struct span name, value;

	if (!start)
		return;
	line = span_from(line, (size_t)(start - line.p));
	if (!take_field(&line, &name, &value))
		return;
	event = record_event_find(value);
	if (event == RECORD_EVENTS || event == RECORD_ERROR)
		return;
	r = way_keep_record(w, event);
	while (take_field(&line, &name, &value))
		way_keep_field(w, r, name, value);
}

bool records_read(struct way *w, const char *path)
{
	CLEANUP(close_file) FILE *f = fopen(path, "re");
	OWNED char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		return way_fail(w, "%s: %s", path, strerror(errno));
	while ((n = getline(&line, &cap, f)) > 0)
		read_record(w, (struct span){ line, (size_t)n - (line[n - 1] == '\n') });
	return true;
}
