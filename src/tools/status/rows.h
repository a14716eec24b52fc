/* A record as a row of a table. */
#pragma once

#include "tools/status/record.h"
#include "tools/status/table.h"

struct status_rows {
	struct status_table table;
	struct status_column columns[STATUS_CELLS_MAX]; /* of the table */
	void (*cells)(const struct status_rows *rows, const struct status_record *r,
		struct status_cells *ret);
	int64_t now;
	bool brief; /* of today a time of day will do */
	bool wide; /* there is room for more columns */
	bool hosts; /* records of several are among them */
};

/* Of sessions, or of messages; lines begin behind `indent` columns. */
void status_rows_init(struct status_rows *rows, enum record_event event,
	const struct status_view *v, size_t indent);

void status_rows_measure(struct status_rows *rows, const struct status_record *r);
void status_rows_put(const struct status_rows *rows, const struct status_view *v,
	const struct status_record *r);
