/* SPDX-License-Identifier: ISC */
/*
 * Lists of records, the newest last, as in a log. Records are not kept in memory: the
 * source is read backwards to the start of the list, which measures the columns, and then
 * forwards.
 */
#include "tools/status/status.h"
#include <errno.h>
#include "base/cleanup.h"
#include "proto/received.h"
#include "smtp/record.h"
#include "tools/status/rows.h"
#include "tools/status/source.h"

struct state {
	struct status_source *source;
	const struct status_filter *filter;
	const struct status_list *list;
	const struct status_view *view;
	struct status_rows rows;
	struct status_record record;
};

static bool is_wanted(const struct state *s)
{
	return s->record.record.when.seconds >= s->list->since &&
	       status_filter_takes(s->filter, &s->record);
}

/* Moves the position before the first record of the list. */
static int go_back(struct state *s)
{
	size_t n = 0;
	int r;

	while ((r = s->source->ops->previous(s->source, &s->record)) > 0) {
		if (s->record.record.when.seconds < s->list->since - STATUS_DISORDER)
			return 0;
		if (!is_wanted(s))
			continue;
		if (s->list->form == STATUS_TABLE)
			status_rows_measure(&s->rows, &s->record);
		if (++n == s->list->most)
			return 0;
	}
	return r;
}

static void put_text(struct state *s)
{
	OWNED char *text = malloc(STATUS_LINE_MAX);
	struct buf b = { .p = text, .cap = text ? STATUS_LINE_MAX : 0 };
	const struct record *r = &s->record.record;

	if (s->list->form == STATUS_JSON) {
		record_put_json(&b, r, s->record.pid);
	} else {
		timestamp_put(&b, r->when.seconds, r->when.microseconds);
		buf_put_char(&b, ' ');
		record_put_line(&b, r);
	}
	buf_put_char(&b, '\n');
	if (!b.overflow)
		fwrite(b.p, 1, b.n, s->view->to);
}

static int put_all(struct state *s)
{
	int r;

	while ((r = s->source->ops->next(s->source, &s->record)) > 0) {
		if (!is_wanted(s))
			continue;
		if (s->list->form == STATUS_TABLE)
			status_rows_put(&s->rows, s->view, &s->record);
		else
			put_text(s);
	}
	return r;
}

/* Waits for more records. 0 or -errno. */
static int wait_for_more(struct status_source *source)
{
	int r = 0;

	while (r == 0) {
		struct pollfd fd;
		int milliseconds;

		source->ops->wait_for(source, &fd, &milliseconds);
		if (poll(&fd, 1, milliseconds) < 0 && errno != EINTR)
			return -errno;
		r = source->ops->look(source);
	}
	return r < 0 ? r : 0;
}

int status_list(struct status_source *source, const struct status_filter *filter,
	const struct status_list *list, const struct status_view *v)
{
	OWNED struct state *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct state){
		.source = source,
		.filter = filter,
		.list = list,
		.view = v,
	};
	if (list->form == STATUS_TABLE)
		status_rows_init(&s->rows, list->event, v, 0);
	s->rows.to = filter->to;
	r = go_back(s);
	if (r >= 0 && list->form == STATUS_TABLE) {
		status_table_fit(&s->rows.table, v);
		status_table_head(&s->rows.table, v);
	}
	if (r >= 0)
		r = put_all(s);
	while (r >= 0 && list->follow) {
		if (fflush(v->to) == EOF)
			return 0;
		r = wait_for_more(source);
		if (r >= 0)
			r = put_all(s);
	}
	return r;
}
