/* The state as text of OpenMetrics, which is as well the text format 0.0.4 of Prometheus. */
#pragma once

#include "tools/status/panel.h"
#include "tools/status/totals.h"

/* `totals`: NULL without counters. */
void status_metrics_put(
	const struct status_panel *panel, const struct status_totals *totals, FILE *to);
