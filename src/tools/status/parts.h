/* The parts of the panel: labels on the left, facts on the right. */
#pragma once

#include "tools/status/panel.h"

#define STATUS_LABELS 26 /* columns, the widest label and a gap */
#define STATUS_LABELS_ABOVE 2 /* in a narrow terminal a label has a line of its own */

/* Columns in front of facts. */
size_t status_labels(const struct status_view *v);

void status_label(const struct status_view *v, const char *text);
/* Behind a label; what is too long goes on in lines below. */
void status_line(const struct status_view *v, enum status_style style, struct span text);
/* The same in a line without a label. */
void status_indented(
	const struct status_view *v, enum status_style style, struct span text);

/* The setting, the certificates, and what is wrong with them. */
void status_put_setting(const struct status_panel *p, const struct status_view *v);
/* What happened within the time, in numbers. */
void status_put_counts(const struct status_panel *p, const struct status_view *v);
