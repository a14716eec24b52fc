/* SPDX-License-Identifier: ISC */
/* Tables of records, in which a column begins at the same place in each line. */
#include "tools/status/rows.h"
#include "tools/status/time.h"

#define GAP 2
#define CUT_LEAST 4 /* columns of a word that is cut, at least */
#define PAD_MAX 64 /* columns of padding; a longer cell shifts only its own line */

void status_cells_init(struct status_cells *c)
{
	c->n = 0;
	c->style = STYLE_PLAIN;
	c->b = BUF(c->octets);
}

void status_cells_end(struct status_cells *c)
{
	size_t start = 0;

	if (c->n) {
		struct span last = c->list[c->n - 1];
		start = (size_t)(last.p - c->octets) + last.n;
	}
	c->list[c->n++] = (struct span){ c->octets + start, c->b.n - start };
}

void status_table_init(struct status_table *t, const struct status_column *columns,
	size_t n, size_t indent)
{
	*t = (struct status_table){ .columns = columns, .n = n, .indent = indent };
	for (size_t i = 0; i < n; i++)
		t->width[i] = strlen(columns[i].head);
}

void status_table_measure(struct status_table *t, const struct status_cells *row)
{
	for (size_t i = 0; i < t->n && i < row->n; i++) {
		size_t n = row->list[i].n < PAD_MAX ? row->list[i].n : PAD_MAX;
		if (n > t->width[i])
			t->width[i] = n;
	}
}

static size_t total(const struct status_table *t)
{
	size_t sum = t->indent;

	for (size_t i = 0; i < t->n; i++)
		if (!t->is_left_out[i])
			sum += t->width[i] + (i + 1 < t->n ? GAP : 0);
	return sum;
}

/* Returns the widest column that may be cut, but not below `floor`; or `n`. */
static size_t widest(const struct status_table *t, size_t floor)
{
	size_t found = t->n;

	for (size_t i = 0; i < t->n; i++) {
		size_t least = t->columns[i].least;
		if (least > floor)
			least = floor;
		if (least && t->width[i] > least &&
			(found == t->n || t->width[i] > t->width[found]))
			found = i;
	}
	return found;
}

/* Gives unused width to columns that were cut. */
static void widen(
	struct status_table *t, const struct status_view *v, const size_t *natural)
{
	for (size_t i = t->n; i > 0; i--)
		while (!t->is_left_out[i - 1] && t->width[i - 1] < natural[i - 1] &&
			total(t) < v->width)
			t->width[i - 1]++;
}

void status_table_fit(struct status_table *t, const struct status_view *v)
{
	size_t natural[STATUS_CELLS_MAX], i;

	memcpy(natural, t->width, sizeof(natural));
	while (v->width && total(t) > v->width && (i = widest(t, SIZE_MAX)) < t->n)
		t->width[i]--;
	/* the first column, and columns that may be cut, are kept */
	for (i = t->n; v->width && total(t) > v->width && i > 1; i--)
		t->is_left_out[i - 1] = t->columns[i - 1].least == 0;
	while (v->width && total(t) > v->width && (i = widest(t, CUT_LEAST)) < t->n)
		t->width[i]--;
	widen(t, v, natural);
}

static void put_cell(const struct status_table *t, const struct status_view *v, size_t i,
	enum status_style style, struct span text)
{
	size_t width = t->width[i];
	size_t pad = text.n < width ? width - text.n : 0;
	bool last = i + 1 == t->n;

	if (t->is_left_out[i])
		return;
	if (t->columns[i].right)
		status_pad(v, pad);
	status_put(v, style, text, v->width ? width : 0);
	if (!t->columns[i].right && !last)
		status_pad(v, pad);
	if (!last)
		status_pad(v, GAP);
}

void status_table_head(const struct status_table *t, const struct status_view *v)
{
	status_pad(v, t->indent);
	for (size_t i = 0; i < t->n; i++)
		put_cell(t, v, i, STYLE_QUIET, span_of(t->columns[i].head));
	putc('\n', v->to);
}

void status_table_row(const struct status_table *t, const struct status_view *v,
	const struct status_cells *row)
{
	status_pad(v, t->indent);
	for (size_t i = 0; i < t->n && i < row->n; i++)
		put_cell(t, v, i, i + 1 == t->n ? row->style : STYLE_PLAIN, row->list[i]);
	putc('\n', v->to);
}

/* Rows for records of sessions, messages and runs of programs. */
#define WIDE 110 /* columns of a terminal with room for all of them */

static const struct status_column session_columns[] = {
	{ "Time", true, 0 },
	{ "Peer", false, 15 },
	{ "TLS", false, 0 },
	{ "Messages", true, 0 },
	{ "End", false, 9 },
};

static const struct status_column wide_session_columns[] = {
	{ "Time", true, 0 },
	{ "Peer", false, 15 },
	{ "HELO", false, 12 },
	{ "TLS", false, 0 },
	{ "Messages", true, 0 },
	{ "Seconds", true, 0 },
	{ "End", false, 9 },
};

static const struct status_column message_columns[] = {
	{ "Time", true, 0 },
	{ "From", false, 12 },
	{ "To", false, 12 },
	{ "Size", true, 0 },
	{ "Outcome", false, 9 },
};

static const struct status_column wide_message_columns[] = {
	{ "Time", true, 0 },
	{ "Peer", false, 15 },
	{ "From", false, 12 },
	{ "To", false, 12 },
	{ "Size", true, 0 },
	{ "TLS", false, 0 },
	{ "Outcome", false, 9 },
};

static const struct status_column run_columns[] = {
	{ "Time", true, 0 },
	{ "Mailbox", false, 0 },
	{ "Program", false, 0 },
	{ "From", false, 12 },
	{ "Outcome", false, 9 },
};

static const struct status_column wide_run_columns[] = {
	{ "Time", true, 0 },
	{ "Mailbox", false, 0 },
	{ "Program", false, 0 },
	{ "From", false, 12 },
	{ "Message", false, 12 },
	{ "Tries", true, 0 },
	{ "Seconds", true, 0 },
	{ "Outcome", false, 9 },
};

static void put_time(const struct status_rows *rows, const struct status_record *r,
	struct status_cells *c)
{
	int64_t at = r->record.when.seconds;

	if (rows->brief)
		status_time_put_short(&c->b, at, rows->now);
	else
		status_time_put(&c->b, at, rows->now);
	status_cells_end(c);
}

/* A missing value is shown as a hyphen. */
static void put_value(
	const struct status_record *r, enum record_key key, struct status_cells *c)
{
	struct span value = status_record_get(r, key);

	buf_put(&c->b, value.n ? value : SPAN("-"));
	status_cells_end(c);
}

/*
 * Shows the first of "<a@b.example>,<c@d.example>,..." without brackets, and "+N" for the
 * others.
 */
static void put_paths(struct span paths, size_t n, struct status_cells *c)
{
	const char *end = paths.n ? memchr(paths.p, '>', paths.n) : NULL;

	if (paths.n > 2 && *paths.p == '<' && end)
		buf_put(&c->b, (struct span){ paths.p + 1, (size_t)(end - paths.p) - 1 });
	else
		buf_put(&c->b, paths.n ? paths : SPAN("-"));
	if (n > 1) {
		buf_put(&c->b, SPAN(" +"));
		buf_put_num(&c->b, n - 1);
	}
	status_cells_end(c);
}

static void put_path(const struct status_record *r, enum record_key key, size_t n,
	struct status_cells *c)
{
	put_paths(status_record_get(r, key), n, c);
}

static void put_seconds(const struct status_record *r, struct status_cells *c)
{
	uint64_t milliseconds = status_record_number(r, RECORD_DURATION);

	buf_put_num(&c->b, milliseconds / 1000);
	buf_put_char(&c->b, '.');
	buf_put_num(&c->b, milliseconds % 1000 / 100);
	status_cells_end(c);
}

/*
 * Shows the status; or the end of the session, with its explanation, or with the last
 * refusal if there was no message.
 */
static void put_end(const struct status_record *r, struct status_cells *c)
{
	struct span status = status_record_get(r, RECORD_STATUS);
	struct span reason = status_record_get(r, RECORD_REASON);
	struct span why = status_record_get(r, RECORD_EXPLANATION);

	buf_put(&c->b, status.n ? status : status_record_get(r, RECORD_END));
	if (!status.n && why.n) {
		buf_put(&c->b, SPAN(": "));
		buf_put(&c->b, why);
	} else if (!status.n && reason.n && !status_record_number(r, RECORD_MESSAGES)) {
		buf_put(&c->b, SPAN(": "));
		buf_put(&c->b, reason);
	}
	status_cells_end(c);
	if (status.n)
		c->style = STYLE_BAD;
}

static void put_host(const struct status_rows *rows, const struct status_record *r,
	struct status_cells *c)
{
	if (rows->hosts)
		put_value(r, RECORD_HOST, c);
}

static void put_session(const struct status_rows *rows, const struct status_record *r,
	struct status_cells *c)
{
	put_time(rows, r, c);
	put_host(rows, r, c);
	put_value(r, RECORD_PEER, c);
	if (rows->wide)
		put_value(r, RECORD_HELO, c);
	put_value(r, RECORD_TLS, c);
	put_value(r, RECORD_MESSAGES, c);
	if (rows->wide)
		put_seconds(r, c);
	put_end(r, c);
}

/* Appends ": " and the text, if it is not empty and fits. */
static void put_text(struct span text, struct status_cells *c)
{
	if (text.n == 0 || text.n + 2 >= buf_room(&c->b))
		return;
	buf_put(&c->b, SPAN(": "));
	buf_put(&c->b, text);
}

static void put_more(
	const struct status_record *r, enum record_key key, struct status_cells *c)
{
	put_text(status_record_get(r, key), c);
}

/* True when the explanation ends with the reason. */
static bool has_reason(const struct status_record *r)
{
	struct span why = status_record_get(r, RECORD_EXPLANATION);
	struct span reason = status_record_get(r, RECORD_REASON);

	return reason.n && span_ends(why, reason);
}

/* What a filter did; a failure is shown with its place in the file. */
static void put_explanation(const struct status_record *r, struct status_cells *c)
{
	if (!status_record_get(r, RECORD_DELIVERY_FAULT).n || has_reason(r))
		put_more(r, RECORD_EXPLANATION, c);
}

/* The recipient for whom a list is made, in a record. */
struct asked {
	struct span path; /* empty: all recipients */
	/* key with the number of recipients of its kind, including itself */
	enum record_key others;
	bool is_refused; /* it was refused, with `reply` */
	bool is_spared; /* the refusals of the record belong to other recipients */
	struct span reply;
};

static struct asked find_asked(
	const struct status_rows *rows, const struct status_record *r)
{
	bool delivered = span_eq(status_record_get(r, RECORD_OUTCOME), SPAN("delivered"));
	bool refused = span_eq(status_record_get(r, RECORD_OUTCOME), SPAN("refused"));
	struct status_path to, refused_to;
	bool is_to, is_refused;

	if (!rows->to)
		return (struct asked){ 0 };
	is_to = status_record_find_path(r, RECORD_TO, rows->to, &to);
	is_refused = status_record_find_path(r, RECORD_REFUSED_TO, rows->to, &refused_to);
	if (is_refused && !(is_to && delivered))
		return (struct asked){
			.path = refused_to.text,
			.others = RECORD_REFUSED,
			.is_refused = true,
			.reply = status_record_refusal(r, refused_to.i),
		};
	return (struct asked){
		.path = is_to ? to.text : (struct span){ 0 },
		.others = RECORD_RECIPIENTS,
		.is_spared = is_to && !is_refused && !refused &&
			     status_record_number(r, RECORD_REFUSED),
	};
}

/*
 * The status or the outcome, the last refusal, and its cause on this host: those of the
 * recipient that the list is about.
 */
static void put_outcome(
	const struct status_record *r, const struct asked *asked, struct status_cells *c)
{
	struct span outcome = status_record_get(r, RECORD_OUTCOME);
	struct span status = status_record_get(r, RECORD_STATUS);
	bool temporary = asked->reply.n && *asked->reply.p == '4';

	if (asked->is_refused ? !temporary
			      : asked->is_spared &&
					!status_record_get(r, RECORD_REPORT_FAULT).n)
		status.n = 0;
	if (asked->is_refused)
		outcome = SPAN("refused");
	buf_put(&c->b, status.n ? status : outcome);
	if (asked->is_refused)
		put_text(asked->reply, c);
	else if (!asked->is_spared && !has_reason(r))
		put_more(r, RECORD_REASON, c);
	if (asked->is_refused ? temporary : !asked->is_spared)
		put_more(r, RECORD_DELIVERY_FAULT, c);
	if (!asked->is_refused)
		put_more(r, RECORD_REPORT_FAULT, c);
	if (!asked->is_refused && !asked->is_spared)
		put_explanation(r, c);
	status_cells_end(c);
	if (status.n)
		c->style = STYLE_BAD;
}

/*
 * The recipient that the list is about; the accepted recipients; if there are none, the
 * refused ones.
 */
static void put_recipients(
	const struct status_record *r, const struct asked *asked, struct status_cells *c)
{
	if (asked->path.n)
		put_paths(asked->path, status_record_number(r, asked->others), c);
	else if (status_record_get(r, RECORD_TO).n)
		put_path(r, RECORD_TO, status_record_number(r, RECORD_RECIPIENTS), c);
	else
		put_path(
			r, RECORD_REFUSED_TO, status_record_number(r, RECORD_REFUSED), c);
}

static void put_message(const struct status_rows *rows, const struct status_record *r,
	struct status_cells *c)
{
	struct asked asked = find_asked(rows, r);

	put_time(rows, r, c);
	put_host(rows, r, c);
	if (rows->wide)
		put_value(r, RECORD_PEER, c);
	put_path(r, RECORD_FROM, 1, c);
	put_recipients(r, &asked, c);
	status_put_octets(&c->b, status_record_number(r, RECORD_SIZE));
	status_cells_end(c);
	if (rows->wide)
		put_value(r, RECORD_TLS, c);
	put_outcome(r, &asked, c);
}

/* On a terminal the last component of a path. */
static void put_place(const struct status_rows *rows, const struct status_record *r,
	enum record_key key, struct status_cells *c)
{
	struct span path = status_record_get(r, key);
	const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;

	if (slash && !rows->whole)
		path = span_from(path, (size_t)(slash - path.p) + 1);
	buf_put(&c->b, path.n ? path : SPAN("-"));
	status_cells_end(c);
}

/* How a run of a program ended, and why the message is not processed. */
static void put_end_of_run(const struct status_record *r, struct status_cells *c)
{
	struct span outcome = status_record_get(r, RECORD_OUTCOME);

	buf_put(&c->b, outcome.n ? outcome : SPAN("-"));
	put_more(r, RECORD_REASON, c);
	status_cells_end(c);
	if (status_record_get(r, RECORD_STATUS).n)
		c->style = STYLE_BAD;
}

static void put_run(const struct status_rows *rows, const struct status_record *r,
	struct status_cells *c)
{
	put_time(rows, r, c);
	put_host(rows, r, c);
	put_place(rows, r, RECORD_MAILBOX, c);
	put_place(rows, r, RECORD_PROGRAM, c);
	put_path(r, RECORD_FROM, 1, c);
	if (rows->wide) {
		put_value(r, RECORD_FILE, c);
		put_value(r, RECORD_TRIES, c);
		put_seconds(r, c);
	}
	put_end_of_run(r, c);
}

#define COUNT(columns) (sizeof(columns) / sizeof(*(columns)))

/* What a list is about: its columns, where they are few and many, and its cells. */
struct kind {
	const struct status_column *few, *many;
	size_t n_few, n_many;
	void (*cells)(const struct status_rows *rows, const struct status_record *r,
		struct status_cells *ret);
};

static const struct kind *kind_of(enum record_event event)
{
	static const struct kind kinds[] = {
		{ session_columns, wide_session_columns, COUNT(session_columns),
			COUNT(wide_session_columns), put_session },
		{ message_columns, wide_message_columns, COUNT(message_columns),
			COUNT(wide_message_columns), put_message },
		{ run_columns, wide_run_columns, COUNT(run_columns),
			COUNT(wide_run_columns), put_run },
	};

	return &kinds[event == RECORD_SESSION ? 0 : event == RECORD_PIPE ? 2 : 1];
}

/* The columns of a kind; after the time the host, if there are several. */
static size_t list_columns(struct status_rows *rows, const struct kind *kind)
{
	static const struct status_column host = { "Host", false, 8 };
	const struct status_column *from = rows->wide ? kind->many : kind->few;
	size_t n_from = rows->wide ? kind->n_many : kind->n_few, n = 0;

	rows->columns[n++] = from[0];
	if (rows->hosts)
		rows->columns[n++] = host;
	for (size_t i = 1; i < n_from; i++)
		rows->columns[n++] = from[i];
	return n;
}

void status_rows_init(struct status_rows *rows, enum record_event event,
	const struct status_view *v, size_t indent)
{
	const struct kind *kind = kind_of(event);
	bool wide = v->width == 0 || v->width >= WIDE;

	*rows = (struct status_rows){
		.cells = kind->cells,
		.now = v->now,
		.brief = !wide,
		.wide = wide,
		.whole = v->width == 0,
		.hosts = v->hosts,
	};
	status_table_init(&rows->table, rows->columns, list_columns(rows, kind), indent);
}

void status_rows_measure(struct status_rows *rows, const struct status_record *r)
{
	struct status_cells cells;

	status_cells_init(&cells);
	rows->cells(rows, r, &cells);
	status_table_measure(&rows->table, &cells);
}

void status_rows_put(const struct status_rows *rows, const struct status_view *v,
	const struct status_record *r)
{
	struct status_cells cells;

	status_cells_init(&cells);
	rows->cells(rows, r, &cells);
	status_table_row(&rows->table, v, &cells);
}
