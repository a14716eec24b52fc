/* SPDX-License-Identifier: ISC */
/*
 * The messages of a Maildir in order of arrival: by the time in the file name, then by
 * the name. Times of tries are those of the monotonic clock, so that setting the clock
 * does not change the time of trying.
 */
#include "tools/pipe/pipe.h"
#include <errno.h>
#include <stdlib.h>
#include "base/num.h"

#define PAUSE_MAX 3600
#define QUEUE_FIRST 64

static struct span digits_of(const char *s)
{
	struct span digits = { s, 0 };

	while (s[digits.n] >= '0' && s[digits.n] <= '9')
		digits.n++;
	return digits;
}

/* name = seconds [ "." "M" microseconds ] *octet; a name without a time has time 0 */
static void read_time(struct pipe_message *m)
{
	struct span seconds = digits_of(m->name);
	const char *rest = m->name + seconds.n;

	if (!num_parse(seconds, &m->seconds))
		return;
	if (rest[0] == '.' && rest[1] == 'M')
		num_parse(digits_of(rest + 2), &m->microseconds);
}

static int compare(const struct pipe_message *a, const struct pipe_message *b)
{
	if (a->seconds != b->seconds)
		return a->seconds < b->seconds ? -1 : 1;
	if (a->microseconds != b->microseconds)
		return a->microseconds < b->microseconds ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Returns the index of the message, or that where it would be. */
static size_t find(const struct pipe_queue *q, const struct pipe_message *m)
{
	size_t low = 0, high = q->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(q->list[middle].message, m) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int grow(struct pipe_queue *q)
{
	size_t cap = q->cap ? 2 * q->cap : QUEUE_FIRST;
	struct pipe_place *more = reallocarray(q->list, cap, sizeof(*more));

	if (!more)
		return -ENOMEM;
	q->list = more;
	q->cap = cap;
	return 0;
}

int pipe_queue_add(struct pipe_queue *q, const char *name, struct pipe_message **ret)
{
	struct pipe_message key = { .name = (char *)name };
	struct pipe_message *m;
	size_t at;

	read_time(&key);
	at = find(q, &key);
	if (at < q->n && compare(q->list[at].message, &key) == 0) {
		*ret = q->list[at].message;
		return 1;
	}
	if (q->n == q->cap && grow(q) < 0)
		return -ENOMEM;
	m = malloc(sizeof(*m));
	key.name = strdup(name);
	if (!m || !key.name) {
		free(m);
		free(key.name);
		return -ENOMEM;
	}
	*m = key;
	memmove(&q->list[at + 1], &q->list[at], (q->n - at) * sizeof(*q->list));
	q->list[at].message = m;
	q->n++;
	*ret = m;
	return 0;
}

static void free_message(struct pipe_message *m)
{
	free(m->outcome);
	free(m->name);
	free(m);
}

/* Returns the index of a name; q->n: not found. */
static size_t number_of(const struct pipe_queue *q, const char *name)
{
	struct pipe_message key = { .name = (char *)name };
	size_t at;

	read_time(&key);
	at = find(q, &key);
	return at < q->n && compare(q->list[at].message, &key) == 0 ? at : q->n;
}

struct pipe_message *pipe_queue_find(const struct pipe_queue *q, const char *name)
{
	size_t at = number_of(q, name);

	return at < q->n ? q->list[at].message : NULL;
}

void pipe_queue_remove(struct pipe_queue *q, const char *name)
{
	size_t at = number_of(q, name);

	if (at == q->n)
		return;
	free_message(q->list[at].message);
	q->n--;
	memmove(&q->list[at], &q->list[at + 1], (q->n - at) * sizeof(*q->list));
}

void pipe_queue_clear(struct pipe_queue *q, bool whole)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n; i++) {
		if (q->list[i].message->state == PIPE_RUNNING && !whole)
			q->list[n++] = q->list[i];
		else
			free_message(q->list[i].message);
	}
	q->n = n;
	if (!whole)
		return;
	free(q->list);
	*q = (struct pipe_queue){ 0 };
}

static bool is_due(const struct pipe_message *m, uint64_t now, uint64_t *ret_due)
{
	if (m->due <= now)
		return true;
	if (m->due < *ret_due)
		*ret_due = m->due;
	return false;
}

struct pipe_message *pipe_queue_next(
	const struct pipe_queue *q, uint64_t now, bool strict, uint64_t *ret_due)
{
	for (size_t i = 0; i < q->n; i++) {
		struct pipe_message *m = q->list[i].message;
		if (m->state == PIPE_READY)
			return m;
		if (m->state == PIPE_WAITING && is_due(m, now, ret_due))
			return m;
		if (m->state == PIPE_WAITING && strict)
			return NULL;
	}
	return NULL;
}

struct pipe_message *pipe_queue_decided(
	const struct pipe_queue *q, uint64_t now, uint64_t *ret_due)
{
	for (size_t i = 0; i < q->n; i++) {
		struct pipe_message *m = q->list[i].message;
		if (m->state == PIPE_DECIDED && is_due(m, now, ret_due))
			return m;
	}
	return NULL;
}

uint64_t pipe_pause(const struct pipe_message *m, uint64_t first, uint64_t retry_for)
{
	uint64_t most = first > PAUSE_MAX ? first : PAUSE_MAX, pause = first;

	for (uint64_t i = 1; i < m->tries && pause < most; i++)
		pause = pause < most / 2 ? 2 * pause : most;
	if (m->waited >= retry_for)
		return 0;
	return pause < retry_for - m->waited ? pause : retry_for - m->waited;
}
