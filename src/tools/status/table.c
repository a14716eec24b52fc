/* Promises that every column begins at one place in each line. Refuses to know what stands in it. */
#include "tools/status/table.h"

#define GAP 2
#define CUT_LEAST 4 /* columns of a word that is cut */
#define PAD_MAX                                                                          \
	64 /* a longer cell pushes what is behind it, rather than pad all others */

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

/* The widest column that may be cut further, but not below `floor`, or `n`. */
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

void status_table_fit(struct status_table *t, const struct status_view *v)
{
	size_t i;

	while (v->width && total(t) > v->width && (i = widest(t, SIZE_MAX)) < t->n)
		t->width[i]--;
	/* then the first and those with words are left */
	for (i = t->n; v->width && total(t) > v->width && i > 1; i--)
		t->is_left_out[i - 1] = t->columns[i - 1].least == 0;
	while (v->width && total(t) > v->width && (i = widest(t, CUT_LEAST)) < t->n)
		t->width[i]--;
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
