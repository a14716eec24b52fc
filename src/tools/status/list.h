/* Records one after the other, the oldest first, as a table, as JSON Lines or as log lines. */
#pragma once

#include "tools/status/rows.h"
#include "tools/status/source.h"

enum status_form {
	STATUS_TABLE, /* of one event */
	STATUS_JSON, /* as `log = json:` writes it */
	STATUS_LINES, /* a time, and "event=session end=quit ..." */
};

struct status_list {
	enum status_form form;
	enum record_event event; /* of a table */
	size_t most; /* the newest so many; 0: all */
	int64_t since; /* seconds */
	bool follow; /* and then what comes, until writing fails */
};

/* 0 or -errno. */
int status_list(struct status_source *source, const struct status_filter *filter,
	const struct status_list *list, const struct status_view *v);
