/* SPDX-License-Identifier: ISC */
/* The command line of postern-status, and the forms of its output. */
#pragma once

#include "proto/conf.h"
#include "tools/status/count.h"
#include "tools/status/panel.h"
#include "tools/status/source.h"

#define STATUS_FILES_GIVEN_MAX 64
#define STATUS_MOST_MAX 1000000000 /* limit of -n */
#define STATUS_LIST_DEFAULT 20 /* records of a table without -n and --since */
#define STATUS_WINDOW_DEFAULT 3600 /* seconds that the panel counts */

enum status_mode {
	STATUS_MODE_PANEL,
	STATUS_MODE_TABLE,
	STATUS_MODE_JSON,
	STATUS_MODE_METRICS,
	STATUS_MODE_HEALTH, /* one line, and an exit status */
	STATUS_MODE_HELP,
	STATUS_MODE_VERSION,
	STATUS_MODE_USAGE, /* `wrong` is the invalid word, and `fault` its fault */
};

struct status_options {
	enum status_mode mode;
	const char *settings; /* settings file; the default one if -c is not given */
	/* files of JSON Lines; none: as in the settings */
	const char *files[STATUS_FILES_GIVEN_MAX];
	size_t n_files;
	const char *directory; /* directory of a journal; NULL: that of this host */
	struct status_filter filter;
	const char *peer; /* as it was given, or NULL */
	const char *since; /* as it was given, or NULL */
	const char *totals; /* file of counters, or NULL */
	size_t most; /* 0: not given */
	bool follow;
	bool json; /* --json was given */
	bool metrics;
	const char *wrong, *fault;
	char meant[CONF_MEANT_MAX]; /* the option that was probably meant; or empty */
};

/* Parses the command line. `now` is in seconds since 1970; a later --since is a fault. */
void status_options_parse(int argc, char **argv, int64_t now, struct status_options *ret);

extern const char status_help[];

/* The sources and options of the output. */
struct status_show {
	const struct status_options *options;
	struct status_source *source;
	struct status_setting *setting;
	struct status_counts *counts;
	const char *origin;
	bool colours;
};

/* Counts the records, and fills *ret for the time `now`. 0 or -errno. */
int status_show_count(
	const struct status_show *show, int64_t now, struct status_panel *ret);

/* Draws the panel on a terminal repeatedly, until a signal ends it. 0 or -errno. */
int status_follow(const struct status_show *show);

enum status_form {
	STATUS_TABLE, /* a table for one event */
	STATUS_JSON, /* lines as `log = json:` writes them */
	STATUS_LINES, /* a time, and "event=session end=quit ..." */
};

/* before any record, even of a clock before 1970 */
#define STATUS_SINCE_EVER (INT64_MIN + STATUS_DISORDER)

struct status_list {
	enum status_form form;
	enum record_event event; /* event of a table */
	size_t most; /* number of the newest records to show; 0: all */
	int64_t since; /* seconds; STATUS_SINCE_EVER: all */
	bool follow; /* then also shows new records, until writing fails */
};

/* Prints records, the oldest first. 0 or -errno. */
int status_list(struct status_source *source, const struct status_filter *filter,
	const struct status_list *list, const struct status_view *v);

/*
 * Counters, which are kept in a file between runs, because old records are removed from a
 * log but a counter must never decrease.
 */
struct status_totals {
	int64_t began; /* seconds; time when the file was made */
	int64_t until; /* older records are counted */
	/* numbers of the file; replies are counted by code */
	struct status_counts counts;
};

/*
 * Waits until no other run uses a file of totals in the same directory. Returns a
 * descriptor, which the caller closes after it wrote the file; or -errno.
 */
int status_totals_lock(const char *path);

/*
 * Reads the file. If it is missing, counters begin at `now` with 0. 0 or -errno;
 * -EBADMSG: it is no file of totals.
 */
int status_totals_read(const char *path, int64_t now, struct status_totals *ret);

/*
 * Adds records up to STATUS_DISORDER before `now`, because more records of a later time
 * may follow. 0 or -errno.
 */
int status_totals_update(struct status_totals *t, struct status_source *source,
	const struct status_filter *filter, int64_t now);

/* Replaces the file; the new one is synced first. 0 or -errno. */
int status_totals_write(const char *path, const struct status_totals *t);

/*
 * Prints the state as OpenMetrics, which is also text format 0.0.4 of Prometheus.
 * `totals`: NULL without counters.
 */
void status_metrics_put(
	const struct status_panel *panel, const struct status_totals *totals, FILE *to);

/* The state as an exit status of monitoring plugins; a worse one is greater. */
enum status_health {
	HEALTH_OK,
	HEALTH_WARNING, /* mail is received, but there is a problem */
	HEALTH_CRITICAL,
};

/* Prints the line. `error` is -errno if records could not be read, else 0. */
enum status_health status_health_put(
	const struct status_panel *panel, int error, const struct status_view *v);
