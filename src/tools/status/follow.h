/* The panel on a terminal, drawn anew in its place until a signal ends it. */
#pragma once

#include "tools/status/options.h"
#include "tools/status/panel.h"

/* What is shown, and how it comes about. */
struct status_show {
	const struct status_options *options;
	struct status_source *source;
	struct status_setting *setting;
	struct status_counts *counts;
	const char *origin;
	bool colours;
};

/* Counts, and fills *ret as of `now`. 0 or -errno. */
int status_show_count(
	const struct status_show *show, int64_t now, struct status_panel *ret);

/* 0 or -errno. */
int status_follow(const struct status_show *show);
