/* SPDX-License-Identifier: ISC */
/* Aligned columns, as wide as their cells or as the terminal allows. */
#pragma once

#include "tools/status/source.h"
#include "tools/status/view.h"

#define STATUS_CELLS_MAX 8
#define STATUS_CELLS_OCTETS 16384 /* of a row */

struct status_column {
	const char *head;
	bool right; /* numbers */
	size_t least; /* columns that it may be cut to; 0: it is never cut */
};

struct status_cells {
	size_t n;
	struct span list[STATUS_CELLS_MAX];
	enum status_style style; /* of the last one */
	struct buf b;
	char octets[STATUS_CELLS_OCTETS];
};

void status_cells_init(struct status_cells *c);
/* Ends a cell: the text put into `b` since the last one. */
void status_cells_end(struct status_cells *c);

struct status_table {
	const struct status_column *columns;
	size_t n;
	size_t indent;
	size_t width[STATUS_CELLS_MAX];
	bool is_left_out[STATUS_CELLS_MAX]; /* in a narrow terminal */
};

void status_table_init(struct status_table *t, const struct status_column *columns,
	size_t n, size_t indent);
void status_table_measure(struct status_table *t, const struct status_cells *row);
/* After all rows are measured: fits the columns to the width. */
void status_table_fit(struct status_table *t, const struct status_view *v);
void status_table_head(const struct status_table *t, const struct status_view *v);
void status_table_row(const struct status_table *t, const struct status_view *v,
	const struct status_cells *row);

/* A record as a row of a table. */

struct status_rows {
	struct status_table table;
	struct status_column columns[STATUS_CELLS_MAX]; /* of the table */
	void (*cells)(const struct status_rows *rows, const struct status_record *r,
		struct status_cells *ret);
	int64_t now;
	bool brief; /* times of today without the day */
	bool wide; /* there is room for more columns */
	bool whole; /* nothing is cut: there is no terminal */
	bool hosts; /* with a column for the host */
	const char *to; /* only this recipient, as in struct status_filter; or NULL */
};

/* For sessions, messages or runs (RECORD_PIPE); lines begin after `indent` columns. */
void status_rows_init(struct status_rows *rows, enum record_event event,
	const struct status_view *v, size_t indent);

void status_rows_measure(struct status_rows *rows, const struct status_record *r);
void status_rows_put(const struct status_rows *rows, const struct status_view *v,
	const struct status_record *r);
