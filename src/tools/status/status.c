/* SPDX-License-Identifier: ISC */
/*
 * postern-status: shows the state of postern from its settings, certificates and records.
 * It changes only a file of totals. All its input is checked.
 */
#include "tools/status/status.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/log/log.h"
#include "tools/status/time.h"

/* https://no-color.org: set to any value */
static bool wants_colours(void)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

/* Returns the file to read; NULL: the journal. */
static const char *origin_of(
	const struct status_options *o, const struct status_setting *setting)
{
	if (o->n_files || o->directory)
		return o->n_files ? o->files[0] : NULL;
	return setting->config.log == LOG_JSON ? setting->config.log_file : NULL;
}

static int print_error(const char *what, int error)
{
	dprintf(STDERR_FILENO, "postern-status: %s: %s\n", what ? what : "the journal",
		status_why_unread(what, error));
	return EX_NOINPUT;
}

/* Returns the number of sessions to keep, at most the lines of a screen. */
static size_t n_sessions(const struct status_options *o)
{
	struct status_view v;

	if (o->most || o->mode >= STATUS_MODE_METRICS)
		return o->most;
	status_view_init(&v, false);
	return v.height ? v.height : STATUS_PANEL_SESSIONS;
}

int status_show_count(
	const struct status_show *show, int64_t now, struct status_panel *ret)
{
	const struct status_options *o = show->options;
	int64_t since = now - STATUS_WINDOW_DEFAULT;
	int r;

	/* parsed successfully before */
	if (o->since && status_time_since(o->since, now, &since))
		return -EINVAL;
	show->source->n_skipped = 0;
	r = status_count(show->source, &o->filter,
		(struct status_span){ since, INT64_MAX }, n_sessions(o), show->counts);
	status_setting_done(show->setting);
	status_setting_read(show->setting, o->settings);
	status_setting_look(show->setting);
	*ret = (struct status_panel){
		.setting = show->setting,
		.counts = show->counts,
		.origin = show->origin,
		.peer = o->peer,
		.window = now - since,
		.moves = !o->since || status_time_is_ago(o->since),
		.n_skipped = show->source->n_skipped,
		.n_sessions = o->most,
	};
	return r;
}

/* Shows the panel once. */
static int show_panel(const struct status_show *show, struct status_view *v)
{
	struct status_panel panel;
	int r = status_show_count(show, v->now, &panel);

	if (r >= 0)
		status_panel_put(&panel, v);
	return r;
}

/* Reports a fault of the file of totals. Returns the exit status. */
static int print_totals_error(const char *path, int error)
{
	dprintf(STDERR_FILENO, "postern-status: --totals %s: %s\n", path,
		error == EBADMSG ? "is no file of totals; remove it, and they begin anew"
				 : strerror(error));
	return error == EBADMSG ? EX_DATAERR : EX_CANTCREAT;
}

/*
 * Shows numbers with counters, and updates their file. Returns -errno of the records, or
 * the exit status.
 */
static int show_totals(
	const struct status_show *show, const struct status_panel *panel, FILE *to)
{
	const char *path = show->options->totals;
	OWNED_FD int lock = status_totals_lock(path);
	OWNED struct status_totals *totals = NULL;
	int r, error;

	if (lock < 0)
		return print_totals_error(path, -lock);
	totals = malloc(sizeof(*totals));
	if (!totals)
		return -ENOMEM;
	error = status_totals_read(path, time(NULL), totals);
	if (error < 0)
		return print_totals_error(path, -error);
	r = status_totals_update(
		totals, show->source, &show->options->filter, time(NULL));
	if (r < 0)
		return r;
	error = status_totals_write(path, totals);
	if (error < 0)
		return print_totals_error(path, -error);
	status_metrics_put(panel, totals, to);
	return 0;
}

/* Shows numbers. Returns -errno, or the exit status. */
static int show_metrics(const struct status_show *show, struct status_view *v)
{
	struct status_panel panel;
	int r = status_show_count(show, v->now, &panel);

	if (r >= 0 && show->options->totals)
		return show_totals(show, &panel, v->to);
	if (r >= 0)
		status_metrics_put(&panel, NULL, v->to);
	return r;
}

/* Shows the state in one line. Returns the exit status. */
static int show_health(const struct status_show *show, struct status_view *v)
{
	struct status_panel panel;
	int r = status_show_count(show, v->now, &panel);

	return (int)status_health_put(&panel, r, v);
}

/* Checks the settings without records. Returns the exit status. */
static int show_health_alone(const struct status_show *show, int error)
{
	struct status_view v;
	const struct status_panel panel = {
		.setting = show->setting,
		.counts = show->counts,
		.origin = show->origin,
	};

	status_view_init(&v, false);
	v.now = time(NULL);
	status_setting_look(show->setting);
	return (int)status_health_put(&panel, error, &v);
}

static int show_list(const struct status_show *show, struct status_view *v)
{
	const struct status_options *o = show->options;
	struct status_list list = {
		.follow = o->follow, .most = o->most, .since = STATUS_SINCE_EVER
	};

	if (o->mode == STATUS_MODE_JSON)
		list.form = STATUS_JSON;
	else if (o->mode != STATUS_MODE_TABLE)
		list.form = STATUS_LINES;
	list.event = RECORD_MESSAGE;
	if (o->filter.events & 1U << RECORD_SESSION)
		list.event = RECORD_SESSION;
	else if (o->filter.events & 1U << RECORD_PIPE)
		list.event = RECORD_PIPE;
	if (o->since)
		status_time_since(o->since, v->now, &list.since);
	else if (!o->most && list.form != STATUS_JSON)
		list.most = STATUS_LIST_DEFAULT;
	return status_list(show->source, &o->filter, &list, v);
}

static int show(const struct status_show *show)
{
	struct status_view v;

	status_view_init(&v, show->colours);
	v.hosts = show->options->n_files > 1;
	v.now = time(NULL);
	switch (show->options->mode) {
	case STATUS_MODE_PANEL:
		if (!show->options->follow)
			return show_panel(show, &v);
		return isatty(STDOUT_FILENO) ? status_follow(show) : show_list(show, &v);
	case STATUS_MODE_METRICS:
		return show_metrics(show, &v);
	case STATUS_MODE_HEALTH:
		return show_health(show, &v);
	default:
		return show_list(show, &v);
	}
}

/*
 * Opens the source. On an error *ret_wrong is the file that cannot be read; NULL: the
 * journal.
 */
static int open_source(const struct status_show *shown, struct status_source **ret,
	const char **ret_wrong)
{
	const struct status_options *o = shown->options;

	*ret_wrong = o->directory;
	if (o->n_files)
		return status_files_open(o->files, o->n_files, ret, ret_wrong);
	return shown->origin ? status_files_open(&shown->origin, 1, ret, ret_wrong)
			     : status_journal_open(o->directory, &o->filter, ret);
}

/* Returns "/var/log/a.json and 2 more", which the caller frees. */
static char *name_of_several(const struct status_options *o)
{
	char *name;

	return asprintf(&name, "%s and %zu more", o->files[0], o->n_files - 1) < 0 ? NULL
										   : name;
}

static int run_with(struct status_show *shown)
{
	const struct status_options *o = shown->options;
	const char *origin, *wrong;
	OWNED char *copy = NULL;
	int r;

	status_setting_read(shown->setting, o->settings);
	origin = origin_of(o, shown->setting);
	/* --follow reads the settings again, which frees their strings */
	if (o->n_files > 1)
		copy = name_of_several(o);
	else if (origin)
		copy = strdup(origin);
	shown->origin = copy;
	r = open_source(shown, &shown->source, &wrong);
	if (r >= 0) {
		r = show(shown);
		shown->source->ops->free(shown->source);
	}
	if (r < 0 && o->mode == STATUS_MODE_HEALTH)
		r = show_health_alone(shown, r);
	status_setting_done(shown->setting);
	if (r < 0)
		return print_error(wrong, -r);
	if (fflush(stdout) == EOF || ferror(stdout))
		return EX_IOERR;
	return o->mode >= STATUS_MODE_METRICS ? r : 0;
}

static int run(const struct status_options *o)
{
	struct status_show shown = {
		.options = o,
		.setting = malloc(sizeof(*shown.setting)),
		.counts = malloc(sizeof(*shown.counts)),
		.colours = wants_colours(),
	};
	int r = shown.setting && shown.counts ? run_with(&shown)
					      : print_error("memory", ENOMEM);

	free(shown.setting);
	free(shown.counts);
	return r;
}

int main(int argc, char **argv)
{
	struct status_options options;

	tzset();
	status_options_parse(argc, argv, time(NULL), &options);
	switch (options.mode) {
	case STATUS_MODE_HELP:
		return fputs(status_help, stdout) < 0 ? EX_IOERR : 0;
	case STATUS_MODE_VERSION:
		return puts("postern-status " VERSION) < 0 ? EX_IOERR : 0;
	case STATUS_MODE_USAGE:
		dprintf(STDERR_FILENO,
			"postern-status: %s: %s%s%s see postern-status --help\n",
			options.wrong, options.fault, options.meant,
			*options.meant ? "" : ";");
		return EX_USAGE;
	default:
		return run(&options);
	}
}
