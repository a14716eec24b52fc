/* SPDX-License-Identifier: ISC */
/*
 * A record read back from a log, and the filter that selects records. Whatever the log
 * contains, a record has only printable ASCII without quotes, within its limits, and no
 * unknown key. Jansson parses the JSON.
 */
#include "tools/status/source.h"
#include <jansson.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "proto/text.h"
#include "tools/status/time.h"

void status_record_clear(struct status_record *r)
{
	r->record = (struct record){ .topic = TOPIC_SESSION };
	r->pid = 0;
	r->n_text = 0;
}

/* True for octets that are kept. A backslash is part of an escape of the writer. */
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

/* Returns the index of the key, or that where it would be. */
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

void status_record_set_level(struct status_record *r, enum record_level level)
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

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static struct span string_of(const json_t *json)
{
	return (struct span){ json_string_value(json), json_string_length(json) };
}

static void put_number(struct status_record *to, enum record_key key, json_int_t number)
{
	char octets[NUM_MAX];
	struct buf b = BUF(octets);

	if (number < 0)
		return;
	buf_put_num(&b, (uint64_t)number);
	status_record_put(to, key, buf_span(&b));
}

/* Appends a list of paths. One that was cut ends with "...", which is not a path. */
static void put_paths(struct buf *to, const json_t *list)
{
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++) {
		struct span path = string_of(json_array_get(list, i));

		if (!path.p)
			continue;
		if (to->n)
			buf_put_char(to, ',');
		if (i + 1 == n && span_eq(path, SPAN("...")))
			buf_put(to, path);
		else
			status_record_put_path(to, path);
	}
}

static void put_texts(struct buf *to, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (i)
			buf_put_char(to, '|');
		put_harmless(to, string_of(json_array_get(list, i)), "|");
	}
}

static void put_value(struct status_record *to, enum record_key key, const json_t *value)
{
	char octets[STATUS_LINE_MAX];
	struct buf b = BUF(octets);

	switch (record_field(key)->kind) {
	case RECORD_TEXT:
		status_record_put(to, key, string_of(value));
		return;
	case RECORD_NUMBER:
		if (json_is_integer(value))
			put_number(to, key, json_integer_value(value));
		return;
	case RECORD_FLAG:
		if (json_is_true(value))
			status_record_put(to, key, SPAN("yes"));
		return;
	case RECORD_PATH:
		if (json_is_string(value))
			status_record_put_path(&b, string_of(value));
		break;
	case RECORD_PATHS:
		put_paths(&b, value);
		break;
	case RECORD_TEXTS:
		put_texts(&b, value);
		break;
	}
	if (!b.overflow)
		status_record_put(to, key, buf_span(&b));
}

/* An unknown word is treated as a missing one. */
static enum record_level level_of(struct span word)
{
	static const enum record_level levels[] = { RECORD_LEVEL_ERROR,
		RECORD_LEVEL_WARNING, RECORD_LEVEL_DEBUG };

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++)
		if (span_eq(word, span_of(record_level_word(levels[i]))))
			return levels[i];
	return RECORD_LEVEL_INFO;
}

static bool read_head(json_t *object, struct status_record *ret)
{
	const json_t *pid = json_object_get(object, "pid");
	struct record *r = &ret->record;

	r->event = record_event_find(string_of(json_object_get(object, "event")));
	if (json_is_integer(pid) && json_integer_value(pid) > 0)
		ret->pid = (uint64_t)json_integer_value(pid);
	return r->event < RECORD_EVENTS &&
	       status_time_read(string_of(json_object_get(object, "time")), &r->when);
}

bool status_json_read(struct span line, struct status_record *ret)
{
	CLEANUP(cleanup_json) json_t *object = NULL;
	json_error_t ignored;

	status_record_clear(ret);
	if (line.n > STATUS_LINE_MAX)
		return false;
	object = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &ignored);
	if (!json_is_object(object) || !read_head(object, ret))
		return false;
	for (enum record_key key = 0; key < RECORD_KEYS; key++) {
		const json_t *value = json_object_get(object, record_field(key)->name);
		if (value)
			put_value(ret, key, value);
	}
	status_record_set_level(
		ret, level_of(string_of(json_object_get(object, "level"))));
	return true;
}

static bool takes_peer(const struct status_filter *f, const struct status_record *r)
{
	struct ip ip;

	return ip_parse(status_record_get(r, RECORD_PEER), &ip) &&
	       network_has(&f->peer, &ip);
}

/* Returns a path without its brackets, if it has any. */
static struct span bare(struct span path)
{
	if (path.n >= 2 && *path.p == '<' && path.p[path.n - 1] == '>')
		return (struct span){ path.p + 1, path.n - 2 };
	return path;
}

/* Compares addresses without case, as RFC 5321 2.4 allows; "@..." is a domain. */
static bool is_same(struct span path, struct span wanted)
{
	if (wanted.n && *wanted.p == '@' && path.n > wanted.n)
		path = span_from(path, path.n - wanted.n);
	return span_ieq(path, wanted);
}

/* In paths ">" is escaped, so the next ">" is the end. */
bool status_record_find_path(const struct status_record *r, enum record_key key,
	const char *address, struct status_path *ret)
{
	struct span list = status_record_get(r, key);
	char octets[RECORD_VALUE_MAX];
	struct buf b = BUF(octets);
	const char *end;

	text_escape_path(&b, bare(span_of(address)), sizeof(octets));
	for (size_t i = 0; list.n && *list.p == '<'; i++) {
		struct span path;
		if (!(end = memchr(list.p, '>', list.n)))
			break;
		path = (struct span){ list.p, (size_t)(end - list.p) + 1 };
		if (is_same(bare(path), buf_span(&b))) {
			*ret = (struct status_path){ path, i };
			return true;
		}
		list = span_from(list, path.n);
		if (list.n)
			list = span_from(list, 1);
	}
	return false;
}

struct span status_record_refusal(const struct status_record *r, size_t i)
{
	struct span list = status_record_get(r, RECORD_REFUSED_REPLIES);
	const char *end;

	if (!list.n)
		return status_record_get(r, RECORD_REASON);
	for (; list.n && (end = memchr(list.p, '|', list.n)); i--) {
		if (i == 0)
			return (struct span){ list.p, (size_t)(end - list.p) };
		list = span_from(list, (size_t)(end - list.p) + 1);
	}
	return i == 0 ? list : (struct span){ 0 };
}

static bool has_path(
	const struct status_record *r, enum record_key key, const char *address)
{
	struct status_path ignored;

	return status_record_find_path(r, key, address, &ignored);
}

/*
 * file = id ["R" number] "." host ["," info]; id = seconds "." number, whose first part
 * is no id
 */
static bool is_file_of(struct span file, struct span id)
{
	return id.n && memchr(id.p, '.', id.n) && file.n > id.n &&
	       span_starts(file, id) && (file.p[id.n] == '.' || file.p[id.n] == 'R');
}

static bool takes_id(const struct status_record *r, const char *id)
{
	char octets[RECORD_VALUE_MAX];
	struct buf b = BUF(octets);

	text_escape(&b, bare(span_of(id)), sizeof(octets));
	return span_eq(status_record_get(r, RECORD_ID), buf_span(&b)) ||
	       is_file_of(status_record_get(r, RECORD_FILE), buf_span(&b)) ||
	       span_eq(bare(status_record_get(r, RECORD_MESSAGE_ID)), buf_span(&b));
}

bool status_filter_takes(const struct status_filter *f, const struct status_record *r)
{
	if (!(f->events & 1U << r->record.event))
		return false;
	if (f->has_peer && !takes_peer(f, r))
		return false;
	if (f->from && !has_path(r, RECORD_FROM, f->from))
		return false;
	if (f->to && !has_path(r, RECORD_TO, f->to) &&
		!has_path(r, RECORD_REFUSED_TO, f->to))
		return false;
	return !f->id || takes_id(r, f->id);
}
