/*
 * Records as text: one line each, as log lines or as JSON Lines. record.c has escaped the
 * values.
 */
#include "smtp/record-text.h"
#include "proto/received.h"

const char *record_level_word(enum record_level level)
{
	switch (level) {
	case RECORD_LEVEL_ERROR:
		return "error";
	case RECORD_LEVEL_WARNING:
		return "warning";
	case RECORD_LEVEL_DEBUG:
		return "debug";
	default:
		return "info";
	}
}

/* Values contain no quotes. */
static void put_pair(struct buf *to, const char *name, struct span value)
{
	bool quote = memchr(value.p, ' ', value.n) || memchr(value.p, '=', value.n);

	buf_put_str(to, name);
	buf_put_char(to, '=');
	if (quote)
		buf_put_char(to, '"');
	buf_put(to, value);
	if (quote)
		buf_put_char(to, '"');
}

void record_put_line(struct buf *to, const struct record *r)
{
	put_pair(to, "event", span_of(record_event_word(r->event)));
	for (size_t i = 0; i < r->n; i++) {
		buf_put_char(to, ' ');
		put_pair(to, record_field(r->values[i].key)->name, r->values[i].value);
	}
}

/* A string of JSON (RFC 8259 7). The backslash is the only special octet in values. */
static void put_string(struct buf *to, struct span value)
{
	buf_put_char(to, '"');
	while (value.n) {
		const char *slash = memchr(value.p, '\\', value.n);
		size_t n = slash ? (size_t)(slash - value.p) : value.n;
		buf_put(to, (struct span){ value.p, n });
		if (slash)
			buf_put(to, SPAN("\\\\"));
		value = span_from(value, slash ? n + 1 : n);
	}
	buf_put_char(to, '"');
}

/* "<a@b>" without its brackets; or "..." */
static void put_path(struct buf *to, struct span path)
{
	if (path.n > 1 && *path.p == '<')
		path = (struct span){ path.p + 1, path.n - 2 };
	put_string(to, path);
}

/* A comma separates paths only after a bracket, which they do not contain. */
static struct span take_path(struct span *list)
{
	const char *end = memmem(list->p, list->n, ">,", 2);
	size_t n = end ? (size_t)(end - list->p) + 1 : list->n;
	struct span path = { list->p, n };

	*list = span_from(*list, end ? n + 1 : n);
	return path;
}

static void put_paths(struct buf *to, struct span list)
{
	buf_put_char(to, '[');
	while (list.n) {
		put_path(to, take_path(&list));
		if (list.n)
			buf_put_char(to, ',');
	}
	buf_put_char(to, ']');
}

static void put_texts(struct buf *to, struct span list)
{
	buf_put_char(to, '[');
	while (list.n) {
		const char *end = memchr(list.p, '|', list.n);
		size_t n = end ? (size_t)(end - list.p) : list.n;
		put_string(to, (struct span){ list.p, n });
		if (end)
			buf_put_char(to, ',');
		list = span_from(list, end ? n + 1 : n);
	}
	buf_put_char(to, ']');
}

static void put_value(struct buf *to, enum record_kind kind, struct span value)
{
	switch (kind) {
	case RECORD_TEXT:
		put_string(to, value);
		break;
	case RECORD_NUMBER:
		buf_put(to, value);
		break;
	case RECORD_FLAG:
		buf_put(to, SPAN("true"));
		break;
	case RECORD_PATH:
		put_path(to, value);
		break;
	case RECORD_PATHS:
		put_paths(to, value);
		break;
	case RECORD_TEXTS:
		put_texts(to, value);
		break;
	}
}

static void put_name(struct buf *to, const char *name)
{
	buf_put_char(to, ',');
	put_string(to, span_of(name));
	buf_put_char(to, ':');
}

void record_put_json(struct buf *to, const struct record *r, uint64_t pid)
{
	buf_put(to, SPAN("{\"time\":\""));
	timestamp_put(to, r->when.seconds, r->when.microseconds);
	buf_put_char(to, '"');
	put_name(to, "event");
	put_string(to, span_of(record_event_word(r->event)));
	put_name(to, "level");
	put_string(to, span_of(record_level_word(topic_get(r->topic)->level)));
	put_name(to, "pid");
	buf_put_num(to, pid);
	for (size_t i = 0; i < r->n; i++) {
		const struct record_field *field = record_field(r->values[i].key);
		put_name(to, field->name);
		put_value(to, field->kind, r->values[i].value);
	}
	buf_put_char(to, '}');
}
