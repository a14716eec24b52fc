/* The panel: what is set, how it goes, and who was there last. */
#pragma once

#include "tools/status/count.h"
#include "tools/status/setting.h"
#include "tools/status/view.h"

struct status_panel {
	const struct status_setting *setting;
	const struct status_counts *counts;
	const char *origin; /* a file, or NULL: the journal */
	const char *peer; /* who alone is meant, or NULL */
	int64_t window; /* seconds that are counted, since counts->since */
	bool moves; /* that time goes on with us */
	uint64_t n_skipped; /* lines that are no records */
	size_t n_sessions; /* to show, if there are as many; 0: as many as there is room for */
};

#define STATUS_PANEL_SESSIONS 10 /* where any number has room */

void status_panel_put(const struct status_panel *panel, const struct status_view *v);
