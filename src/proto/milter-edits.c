/* SPDX-License-Identifier: ISC */
/*
 * Edits of a header by filters. The header is a list of fields, which are parts of the
 * message or new text. A field that no filter changed is written octet for octet. The
 * text of a filter never becomes more than one field, and never ends the header.
 */
#include "proto/milter.h"
#include "proto/text.h"

/*
 * Returns the octets of the name of a field: a name, blanks (RFC 5322 4.5) and a colon;
 * 0: it is not a field.
 */
static size_t name_of(struct span line)
{
	size_t n = text_field_name(line), at = n;

	while (at < line.n && ascii_is_blank(line.p[at]))
		at++;
	return at < line.n && line.p[at] == ':' ? n : 0;
}

static bool is_empty(struct span line)
{
	return span_eq(line, SPAN("\n")) || span_eq(line, SPAN("\r\n"));
}

/* Returns the first line with its LF, or all of the text. */
static struct span line_of(struct span text)
{
	struct span rest = text;

	span_take_line(&rest);
	text.n -= rest.n;
	return text;
}

static bool ends_header(struct span line, bool first)
{
	return is_empty(line) || (ascii_is_blank(*line.p) ? first : name_of(line) == 0);
}

bool milter_header_find(struct span text, bool whole, struct milter_header *ret)
{
	size_t at = 0;

	while (at < text.n) {
		struct span line = line_of(span_from(text, at));
		if (!whole && !span_ends(line, SPAN("\n")))
			return false;
		if (ends_header(line, at == 0)) {
			*ret = (struct milter_header){ at, is_empty(line) ? line.n : 0 };
			return true;
		}
		at += line.n;
	}
	if (whole)
		*ret = (struct milter_header){ at, 0 };
	return whole;
}

/* Takes a field with the lines that continue it. */
static struct span take_field(struct span *text)
{
	struct span field = line_of(*text);

	while (field.n < text->n && ascii_is_blank(text->p[field.n]))
		field.n += line_of(span_from(*text, field.n)).n;
	*text = span_from(*text, field.n);
	return field;
}

static const char too_many[] = "is left out: the header has more than 16384 fields";

const char *milter_edits_begin(
	struct milter_edits *e, struct span ours, struct span header)
{
	if (header.n > MILTER_HEADER_MAX)
		return "is left out: the header has more than 1 MiB";
	e->n = e->text.n = e->last.n_name = 0;
	e->changed = e->full = false;
	if (e->cap == 0)
		return too_many;
	e->fields[e->n++] = (struct milter_field){ .text = ours, .ours = true };
	while (header.n) {
		struct span field = take_field(&header);
		if (e->n == e->cap)
			return too_many;
		e->fields[e->n++] = (struct milter_field){
			.text = field,
			.n_name = text_field_name(field),
		};
	}
	milter_edits_save(e);
	return NULL;
}

void milter_edits_save(struct milter_edits *e)
{
	memcpy(e->saved, e->fields, e->n * sizeof(*e->fields));
	e->n_saved = e->n;
	e->n_text_saved = e->text.n;
	e->changed_saved = e->changed;
}

void milter_edits_restore(struct milter_edits *e)
{
	memcpy(e->fields, e->saved, e->n_saved * sizeof(*e->fields));
	e->n = e->n_saved;
	e->text.n = e->n_text_saved;
	e->text.overflow = false;
	e->changed = e->changed_saved;
	e->last.n_name = 0;
}

static bool is_break(char c)
{
	return c == '\r' || c == '\n';
}

/*
 * Returns the octets of breaks and blanks at `at`; *ret_last: those up to the last break.
 */
static size_t break_at(struct span value, size_t at, size_t *ret_last)
{
	size_t end = at;

	for (; end < value.n; end++) {
		if (is_break(value.p[end]))
			*ret_last = end + 1 - at;
		else if (!ascii_is_blank(value.p[end]))
			break;
	}
	return end - at;
}

/*
 * Writes a value. A run of line ends and of lines of blanks becomes one line end,
 * followed by a TAB if no blank follows, because text after a bare line end would be
 * another field, or the body.
 */
static void put_value(struct buf *to, struct span value)
{
	for (size_t at = 0; at < value.n;) {
		size_t last = 0, n;
		if (!is_break(value.p[at])) {
			buf_put_char(to, value.p[at++]);
			continue;
		}
		n = break_at(value, at, &last);
		if (at + n == value.n)
			return;
		buf_put_char(to, '\n');
		if (n == last)
			buf_put_char(to, '\t');
		at += last;
	}
}

/* Makes a field of new text. Returns NULL, or a fault. */
static const char *make_field(struct milter_edits *e, const struct milter_answer *a,
	uint32_t options, struct milter_field *ret)
{
	size_t begin = e->text.n;

	buf_put(&e->text, a->name);
	buf_put_char(&e->text, ':');
	if (!(options & MILTER_LEADING_SPACE))
		buf_put_char(&e->text, ' ');
	put_value(&e->text, a->value);
	buf_put_char(&e->text, '\n');
	if (e->text.overflow) {
		e->text.n = begin;
		e->text.overflow = false;
		e->full = true;
		return "sent more than 1 MiB of fields";
	}
	*ret = (struct milter_field){
		.text = { e->text.p + begin, e->text.n - begin },
		.n_name = a->name.n,
	};
	return NULL;
}

static const char *insert_at(
	struct milter_edits *e, size_t at, const struct milter_field *field)
{
	e->full = e->n == e->cap;
	if (e->full)
		return "sent more fields than the 16384 that a header may have";
	memmove(e->fields + at + 1, e->fields + at, (e->n - at) * sizeof(*e->fields));
	e->fields[at] = *field;
	e->n++;
	e->changed = true;
	if (at < e->last.at)
		e->last.n_name = 0;
	return NULL;
}

static void delete_at(struct milter_edits *e, size_t at)
{
	e->n--;
	memmove(e->fields + at, e->fields + at + 1, (e->n - at) * sizeof(*e->fields));
	e->changed = true;
}

/* Keeps a place for the next search; names that are too long are not kept. */
static void keep_last(
	struct milter_edits *e, struct span name, size_t at, uint32_t before)
{
	e->last.n_name = name.n <= sizeof(e->last.name) ? name.n : 0;
	memcpy(e->last.name, name.p, e->last.n_name);
	e->last.at = at;
	e->last.before = before;
}

static bool has_name(const struct milter_edits *e, size_t at, struct span name)
{
	const struct milter_field *f = &e->fields[at];

	return !f->ours && span_ieq((struct span){ f->text.p, f->n_name }, name);
}

/*
 * Returns the index of the n-th field of that name, without our own; e->n: none. Goes on
 * from the place of the last search if that is nearer than the beginning.
 */
static size_t find(struct milter_edits *e, struct span name, uint32_t index)
{
	const uint32_t wanted = index ? index - 1 : 0; /* fields before it */
	uint32_t before = 0;
	size_t at = 0;

	if (e->last.n_name && wanted >= e->last.before / 2 &&
		span_ieq((struct span){ e->last.name, e->last.n_name }, name)) {
		at = e->last.at;
		before = e->last.before;
	}
	while (before > wanted)
		before -= has_name(e, --at, name);
	for (; at < e->n; at++) {
		if (!has_name(e, at, name))
			continue;
		if (before == wanted)
			break;
		before++;
	}
	keep_last(e, name, at, before);
	return at;
}

const char *milter_edits_apply(
	struct milter_edits *e, const struct milter_answer *a, uint32_t options)
{
	bool replaces = a->kind == MILTER_CHANGE;
	struct milter_field field;
	size_t at = e->n;
	const char *fault;

	e->full = false;
	if (a->name.n == 0 || text_field_name(a->name) != a->name.n)
		return "sent a field with a name that is none";
	if (replaces)
		at = find(e, a->name, a->index);
	if (a->kind == MILTER_INSERT && a->index < e->n)
		at = a->index;
	if (replaces && a->value.n == 0) {
		if (at < e->n)
			delete_at(e, at);
		return NULL;
	}
	fault = make_field(e, a, options, &field);
	if (fault)
		return fault;
	if (!replaces || at == e->n)
		return insert_at(e, at, &field);
	e->fields[at] = field;
	e->changed = true;
	return NULL;
}

bool milter_edits_next(const struct milter_edits *e, size_t *at, struct span *ret_field)
{
	while (*at < e->n && e->fields[*at].ours)
		++*at;
	if (*at >= e->n)
		return false;
	*ret_field = e->fields[(*at)++].text;
	return true;
}

/* Appends as much of a text as fits, from *at on. True when all of it is written. */
static bool put_part(struct buf *to, struct span text, size_t *at)
{
	struct span part = span_from(text, *at < text.n ? *at : text.n);

	if (part.n > buf_room(to))
		part.n = buf_room(to);
	buf_put(to, part);
	*at += part.n;
	return *at >= text.n;
}

bool milter_edits_put(
	const struct milter_edits *e, struct milter_walk *at, struct buf *to)
{
	for (; at->field < e->n; at->field++, at->octet = 0) {
		struct span text = e->fields[at->field].text;
		if (!put_part(to, text, &at->octet))
			return false;
		/* the last line of a message may have no end (BINARYMIME) */
		if (text.n == 0 || text.p[text.n - 1] == '\n')
			continue;
		if (buf_room(to) == 0)
			return false;
		buf_put_char(to, '\n');
	}
	return true;
}
