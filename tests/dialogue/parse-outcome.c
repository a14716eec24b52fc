/* SPDX-License-Identifier: ISC */
/* Parses the expected result at the end of a dialogue; README.md has the notation. */
#include "base/num.h"
#include "parse.h"
#include "pattern.h"

/* "stored: 2", "stored: any", or the mailboxes, a file in each: "stored: a@example.net, b@example.net" */
static bool parse_stored(struct parser *p, struct span s)
{
	struct wanted_files *stored = &p->d->stored;
	uint64_t n;

	stored->line = p->line;
	stored->any = span_eq(s, SPAN("any"));
	if (stored->any)
		return true;
	if (num_parse(s, &n)) {
		stored->n = n;
		return true;
	}
	p->d->mailboxes = s;
	stored->n = 1;
	for (size_t i = 0; i < s.n; i++)
		stored->n += s.p[i] == ',';
	return true;
}

/* "reports: 2" */
static bool parse_reports(struct parser *p, struct span s)
{
	uint64_t n;

	p->d->reports.line = p->line;
	p->d->reports.any = span_eq(s, SPAN("any"));
	if (p->d->reports.any)
		return true;
	if (!num_parse(s, &n))
		return complain(p->complaint, p->line, "not a number of reports");
	p->d->reports.n = n;
	return true;
}

/* "mailbox: user@example.net": only the mailboxes of such lines exist */
static bool parse_box(struct parser *p, struct span s)
{
	struct dialogue *d = p->d;
	char *box = arena_copy(&d->arena, s);

	for (char *c = box; *c; c++)
		*c = ascii_lower(*c);
	d->own_boxes = arena_more(
		&d->arena, d->own_boxes, d->n_own_boxes, sizeof(*d->own_boxes));
	d->own_boxes[d->n_own_boxes++] = box;
	/* the NULL that ends them */
	d->own_boxes = arena_more(
		&d->arena, d->own_boxes, d->n_own_boxes, sizeof(*d->own_boxes));
	d->own_boxes[d->n_own_boxes] = NULL;
	d->boxes = d->own_boxes;
	return strchr(box, '@') || complain(p->complaint, p->line, "not a mailbox");
}

/* Consecutive lines of a message; any other line between them begins another message. */
bool parse_content(
	struct parser *p, struct wanted_files *files, struct span s, bool goes_on)
{
	struct arena *a = &p->d->arena;
	struct wanted_message *m;
	struct span compiled;
	struct text t = { 0 };

	if (!goes_on) {
		files->messages = arena_more(
			a, files->messages, files->n_messages, sizeof(*files->messages));
		files->messages[files->n_messages++] =
			(struct wanted_message){ .line = p->line };
	}
	m = &files->messages[files->n_messages - 1];
	if (!pattern_compile(a, s, true, &compiled))
		return complain(p->complaint, p->line, "no such escape");
	text_put(a, &t, m->pattern);
	if (goes_on && !pattern_is_any(compiled))
		text_put_char(a, &t, '\n');
	text_put(a, &t, compiled);
	m->pattern = text_span(&t);
	return true;
}

/* "record: name=pattern", "record: without name"; "message:" for a transaction's */
static bool parse_field(struct parser *p, struct span s, enum record_event event)
{
	static const struct span without = { "without ", 8 };
	struct dialogue *d = p->d;
	struct wanted_field *f;
	const char *equals = s.n ? memchr(s.p, '=', s.n) : NULL;

	d->fields = arena_more(&d->arena, d->fields, d->n_fields, sizeof(*d->fields));
	f = &d->fields[d->n_fields++];
	*f = (struct wanted_field){ .line = p->line, .event = event };
	if (s.n > without.n && span_eq((struct span){ s.p, without.n }, without)) {
		f->absent = true;
		f->name = span_from(s, without.n);
		return true;
	}
	if (!equals)
		return complain(p->complaint, p->line, "not name=value");
	f->name = (struct span){ s.p, (size_t)(equals - s.p) };
	return pattern_compile(
		&d->arena, span_from(s, f->name.n + 1), false, &f->pattern);
}

static bool take_word(struct span *s, struct span word)
{
	if (s->n < word.n || !span_eq((struct span){ s->p, word.n }, word))
		return false;
	*s = span_from(*s, word.n);
	if (s->n && *s->p == ' ')
		*s = span_from(*s, 1);
	return true;
}

bool parse_is_outcome(struct span s)
{
	return take_word(&s, SPAN("stored:")) || take_word(&s, SPAN("mailbox:")) ||
	       take_word(&s, SPAN("reports:")) || take_word(&s, SPAN("record:")) ||
	       take_word(&s, SPAN("message:")) || take_word(&s, SPAN("auth:"));
}

bool parse_outcome(struct parser *p, struct span s)
{
	if (take_word(&s, SPAN("stored:")))
		return parse_stored(p, s);
	if (take_word(&s, SPAN("mailbox:")))
		return parse_box(p, s);
	if (take_word(&s, SPAN("reports:")))
		return parse_reports(p, s);
	if (take_word(&s, SPAN("record:")))
		return parse_field(p, s, RECORD_SESSION);
	if (take_word(&s, SPAN("auth:")))
		return parse_field(p, s, RECORD_AUTH);
	return take_word(&s, SPAN("message:")) && parse_field(p, s, RECORD_MESSAGE);
}
