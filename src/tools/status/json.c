/*
 * Promises to take a record out of a line or to say that there is none; to take nothing from it that a record
 * could not have. Refuses to read JSON by itself: that is Jansson's.
 */
#include "tools/status/json.h"
#include <jansson.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "tools/status/time.h"

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

/* Behind too many recipients stands "...", which is none. */
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
	}
	if (!b.overflow)
		status_record_put(to, key, buf_span(&b));
}

/* A word that is not known is as good as none. */
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
	status_record_weigh(ret, level_of(string_of(json_object_get(object, "level"))));
	return true;
}
