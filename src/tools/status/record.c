/*
 * Promises that a record which was read is as harmless as one that was written: printable ASCII, no quotes,
 * within its caps. Refuses to know where it was read.
 */
#include "tools/status/record.h"
#include "base/num.h"

void status_record_clear(struct status_record *r)
{
	r->record = (struct record){ .topic = TOPIC_SESSION };
	r->pid = 0;
	r->n_text = 0;
}

/* A backslash is left alone: it is one that the writer has put there. */
static bool is_harmless(char c)
{
	return c >= 32 && c <= 126 && c != '"';
}

static void put_harmless(struct buf *to, struct span value, const char *unwanted)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.n; i++) {
		unsigned char octet = (unsigned char)value.p[i];
		char escaped[] = { '\\', 'x', hex[octet >> 4], hex[octet & 15] };

		if (is_harmless(value.p[i]) && !strchr(unwanted, value.p[i]))
			buf_put_char(to, value.p[i]);
		else
			buf_put(to, (struct span){ escaped, sizeof(escaped) });
	}
}

void status_record_put_path(struct buf *to, struct span path)
{
	buf_put_char(to, '<');
	put_harmless(to, path, "<>");
	buf_put_char(to, '>');
}

static bool is_of_kind(enum record_kind kind, struct span value)
{
	uint64_t number;

	if (kind == RECORD_NUMBER)
		return num_parse(value, &number);
	if (kind == RECORD_FLAG)
		return span_eq(value, SPAN("yes"));
	return value.n > 0;
}

/* Where the key stands, or should. */
static size_t place_of(const struct record *r, enum record_key key)
{
	size_t i = 0;

	while (i < r->n && r->values[i].key < key)
		i++;
	return i;
}

void status_record_put(struct status_record *r, enum record_key key, struct span value)
{
	struct record *record = &r->record;
	size_t i = place_of(record, key);
	struct buf b = { .p = r->text + r->n_text, .cap = sizeof(r->text) - r->n_text };

	if ((i < record->n && record->values[i].key == key) ||
		!is_of_kind(record_field(key)->kind, value))
		return;
	put_harmless(&b, value, "");
	if (b.overflow)
		return;
	memmove(&record->values[i + 1], &record->values[i],
		(record->n - i) * sizeof(*record->values));
	record->values[i] = (struct record_value){ key, buf_span(&b) };
	record->n++;
	r->n_text += b.n;
}

void status_record_weigh(struct status_record *r, enum record_level level)
{
	struct span status = status_record_get(r, RECORD_STATUS);
	enum topic found = TOPIC_SESSION;

	for (enum topic t = 0; t < TOPICS; t++) {
		const struct topic_row *row = topic_get(t);

		if (row->level != level)
			continue;
		found = t;
		if (span_eq(span_of(row->status), status))
			break;
	}
	r->record.topic = found;
}

void status_record_copy(struct status_record *to, const struct status_record *from)
{
	memcpy(to->text, from->text, from->n_text);
	to->n_text = from->n_text;
	to->pid = from->pid;
	to->record = from->record;
	for (size_t i = 0; i < to->record.n; i++) {
		struct span *value = &to->record.values[i].value;
		value->p = to->text + (value->p - from->text);
	}
}

struct span status_record_get(const struct status_record *r, enum record_key key)
{
	size_t i = place_of(&r->record, key);

	if (i < r->record.n && r->record.values[i].key == key)
		return r->record.values[i].value;
	return (struct span){ 0 };
}

uint64_t status_record_number(const struct status_record *r, enum record_key key)
{
	uint64_t number = 0;

	num_parse(status_record_get(r, key), &number);
	return number;
}
