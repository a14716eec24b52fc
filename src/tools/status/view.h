/* SPDX-License-Identifier: ISC */
/* The output of postern-status: its width, colours and time. */
#pragma once

#include <stdio.h>
#include "base/buf.h"

enum status_style {
	STYLE_PLAIN,
	STYLE_LABEL,
	STYLE_QUIET,
	STYLE_GOOD,
	STYLE_CARE,
	STYLE_BAD,
};

struct status_view {
	FILE *to;
	size_t width; /* columns; 0: nothing is cut */
	size_t height; /* lines; 0: any */
	bool colour;
	bool hosts; /* records of several hosts are shown */
	int64_t now; /* seconds since 1970 */
};

/* Sets the view for standard output; `colours` is false when the user wants none. */
void status_view_init(struct status_view *v, bool colours);

/*
 * Shows text, cut to `columns` (0: all). Octets that are not printable ASCII become \xHH.
 */
void status_put(const struct status_view *v, enum status_style style, struct span text,
	size_t columns);

/* Blanks. */
void status_pad(const struct status_view *v, size_t columns);

/* Wraps words to the view's width. `indent` columns are printed already. */
void status_put_wrapped(const struct status_view *v, enum status_style style,
	struct span text, size_t indent);

/* Appends octets in the units of settings: "1234", "12.3K", "4.5M". */
void status_put_octets(struct buf *to, uint64_t octets);

/* Lines with a label on the left and facts on the right. */

#define STATUS_LABELS 26 /* columns, the widest label and a gap */
#define STATUS_LABELS_ABOVE 2 /* in a narrow terminal a label has a line of its own */

/* Returns the columns before facts. */
size_t status_labels(const struct status_view *v);

void status_label(const struct status_view *v, const char *text);
/* Prints text after a label, wrapped into lines below. */
void status_line(const struct status_view *v, enum status_style style, struct span text);
/* The same in a line without a label. */
void status_indented(
	const struct status_view *v, enum status_style style, struct span text);
