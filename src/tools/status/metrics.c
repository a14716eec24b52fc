/* SPDX-License-Identifier: ISC */
/*
 * Text of OpenMetrics, which the textfile collector of node_exporter also reads. Gauges
 * count the records of a moving window; counters count since they began. Labels have no
 * text of clients.
 *
 * Counters are kept in a file of totals, a JSON object. Each record is counted once, by
 * its time: from the end of the last run to a minute ago. Of two concurrent runs the
 * second one waits, and counts from the end of the first. If the clock was set back by at
 * most a day, counting resumes at the end of the last run.
 */
#include "tools/status/status.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"

/* The numbers of the file, and their offsets. */
static const struct {
	const char *key;
	size_t at;
	bool is_new; /* files of earlier versions do not have it */
} numbers[] = {
	{ "delivered", offsetof(struct status_counts, outcomes[STATUS_DELIVERED]),
		false },
	{ "refused", offsetof(struct status_counts, outcomes[STATUS_REFUSED]), false },
	{ "given_up", offsetof(struct status_counts, outcomes[STATUS_GIVEN_UP]), false },
	{ "checked", offsetof(struct status_counts, outcomes[STATUS_CHECKED]), false },
	{ "delivered_bytes", offsetof(struct status_counts, octets), false },
	{ "proxy_checks", offsetof(struct status_counts, n_checks), false },
	{ "failed_logins", offsetof(struct status_counts, n_failed_logins), false },
	{ "errors", offsetof(struct status_counts, n_errors), false },
	{ "discarded", offsetof(struct status_counts, outcomes[STATUS_DISCARDED]), true },
	{ "filter_milliseconds", offsetof(struct status_counts, filter_milliseconds),
		true },
};

static const struct {
	const char *key;
	size_t at;
	bool is_new;
} tallies[] = {
	{ "sessions", offsetof(struct status_counts, versions), false },
	{ "statuses", offsetof(struct status_counts, statuses), false },
	{ "refusals", offsetof(struct status_counts, reasons), false },
	{ "filter_verdicts", offsetof(struct status_counts, verdicts), true },
};

#define WAIT_MAX (24 * 60 * 60) /* seconds */

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static uint64_t *number_at(struct status_counts *c, size_t i)
{
	return (uint64_t *)(void *)((char *)c + numbers[i].at);
}

static struct status_tallies *tallies_at(struct status_counts *c, size_t i)
{
	return (struct status_tallies *)(void *)((char *)c + tallies[i].at);
}

static bool take_number(const json_t *from, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(from, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

static bool take_tallies(json_t *from, const char *key, struct status_tallies *ret)
{
	json_t *object = json_object_get(from, key), *value;
	const char *text;

	if (!json_is_object(object))
		return false;
	json_object_foreach(object, text, value)
	{
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return false;
		status_tally(ret, span_of(text), (uint64_t)json_integer_value(value));
	}
	return true;
}

static bool is_absent(const json_t *from, const char *key, bool is_new)
{
	return is_new && !json_object_get(from, key);
}

static bool take_all(json_t *from, struct status_totals *t)
{
	uint64_t began, until;
	bool ok =
		take_number(from, "began", &began) && take_number(from, "until", &until);

	if (!ok)
		return false;
	t->began = (int64_t)began;
	t->until = (int64_t)until;
	for (size_t i = 0; ok && i < COUNT(numbers); i++)
		ok = is_absent(from, numbers[i].key, numbers[i].is_new) ||
		     take_number(from, numbers[i].key, number_at(&t->counts, i));
	for (size_t i = 0; ok && i < COUNT(tallies); i++)
		ok = is_absent(from, tallies[i].key, tallies[i].is_new) ||
		     take_tallies(from, tallies[i].key, tallies_at(&t->counts, i));
	return ok;
}

int status_totals_read(const char *path, int64_t now, struct status_totals *ret)
{
	__attribute__((cleanup(cleanup_json))) json_t *json = NULL;
	FILE *file = fopen(path, "re");
	int error = errno;

	memset(ret, 0, sizeof(*ret));
	ret->began = ret->until = now;
	if (!file)
		return error == ENOENT ? 0 : -error;
	json = json_loadf(file, JSON_REJECT_DUPLICATES, NULL);
	fclose(file);
	return take_all(json, ret) ? 0 : -EBADMSG;
}

int status_totals_update(struct status_totals *t, struct status_source *source,
	const struct status_filter *filter, int64_t now)
{
	const struct status_span time = { t->until, now - STATUS_DISORDER };
	struct status_counts *more;
	int r;

	if (t->began > now)
		t->began = now;
	/* the clock of the last run was far ahead */
	if (time.since - now > WAIT_MAX)
		t->until = now;
	/* no new time has passed, or the clock was set back */
	if (time.until <= time.since)
		return 0;
	more = malloc(sizeof(*more));
	if (!more)
		return -ENOMEM;
	r = status_count(source, filter, time, 0, more);
	if (r >= 0) {
		status_count_add(&t->counts, more);
		t->until = time.until;
	}
	free(more);
	return r;
}

static int add_number(json_t *to, const char *key, uint64_t n)
{
	return json_object_set_new(
		to, key, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

/* JSON must be UTF-8: octets other than printable ASCII become "?", as in metrics. */
static int add_tallies(json_t *to, const char *key, const struct status_tallies *t)
{
	json_t *object = json_object();
	int error = json_object_set_new(to, key, object);

	for (size_t i = 0; !error && i < t->n; i++) {
		char text[STATUS_TALLY_TEXT];
		size_t n = 0;

		for (const char *p = t->list[i].text; *p; p++)
			text[n++] = (char)(*p >= 32 && *p <= 126 ? *p : '?');
		text[n] = '\0';
		error = add_number(object, text, t->list[i].n);
	}
	return error;
}

static char *text_of(const struct status_totals *t)
{
	__attribute__((cleanup(cleanup_json))) json_t *json = json_object();
	struct status_counts *c = (struct status_counts *)&t->counts;
	int error = add_number(json, "began", (uint64_t)t->began) |
		    add_number(json, "until", (uint64_t)t->until);

	for (size_t i = 0; i < COUNT(numbers); i++)
		error |= add_number(json, numbers[i].key, *number_at(c, i));
	for (size_t i = 0; i < COUNT(tallies); i++)
		error |= add_tallies(json, tallies[i].key, tallies_at(c, i));
	return error ? NULL : json_dumps(json, JSON_INDENT(1));
}

static int write_synced(int fd, const char *text)
{
	FILE *file = fdopen(fd, "w");
	int error;

	if (!file) {
		error = errno;
		close(fd);
		return -error;
	}
	fputs(text, file);
	putc('\n', file);
	error = fflush(file) == EOF || fsync(fd) < 0 ? errno : 0;
	if (fclose(file) == EOF && !error)
		error = errno;
	return -error;
}

/* Resolves a link, so that it is kept. */
static char *resolve_link(const char *path)
{
	struct stat st;
	bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);

	return is_link ? realpath(path, NULL) : strdup(path);
}

/* Locks the directory, because each run replaces the file. */
int status_totals_lock(const char *name)
{
	OWNED char *path = resolve_link(name);
	int fd, r = 0;

	if (!path)
		return -errno;
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((r = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
		;
	/*
	 * NFS has no locks of directories, so two concurrent runs are not separated there
	 */
	if (r == 0 || errno == EBADF || errno == ENOLCK || errno == EOPNOTSUPP)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int status_totals_write(const char *name, const struct status_totals *t)
{
	OWNED char *text = text_of(t);
	OWNED char *path = resolve_link(name);
	OWNED char *made = NULL;
	int fd, r;

	if (!path)
		return -errno;
	if (!text || asprintf(&made, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	fd = mkostemp(made, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write_synced(fd, text);
	if (r >= 0 && rename(made, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(made);
	return r;
}

/* Numbers as text. */

/* Prefix of the names of families, and suffix of their samples. */
struct kind {
	const char *type, *prefix, *suffix;
};

static const struct kind gauges = { "gauge", "postern_", "" };
static const struct kind counters = { "counter", "postern_recorded_", "_total" };

static void put_family(FILE *to, const struct kind *k, const char *name, const char *help)
{
	fprintf(to, "# TYPE %s%s %s\n# HELP %s%s %s\n", k->prefix, name, k->type,
		k->prefix, name, help);
}

static void put_single(FILE *to, const struct kind *k, const char *name, const char *help,
	uint64_t value)
{
	put_family(to, k, name, help);
	fprintf(to, "%s%s%s %" PRIu64 "\n", k->prefix, name, k->suffix, value);
}

/* A label's value: `\\` and `"` are escaped; control and non-ASCII octets become "?". */
static void put_quoted(FILE *to, const char *text)
{
	putc('"', to);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', to);
		putc(*text >= 32 && *text <= 126 ? *text : '?', to);
	}
	putc('"', to);
}

static void put_labelled(FILE *to, const struct kind *k, const char *name,
	const char *label, const char *value, uint64_t n)
{
	fprintf(to, "%s%s%s{%s=", k->prefix, name, k->suffix, label);
	put_quoted(to, value);
	fprintf(to, "} %" PRIu64 "\n", n);
}

static void put_tallies(FILE *to, const struct kind *k, const char *name,
	const char *label, const char *help, const struct status_tallies *t)
{
	put_family(to, k, name, help);
	for (size_t i = 0; i < t->n; i++)
		put_labelled(to, k, name, label, t->list[i].text, t->list[i].n);
}

/* "3.100" */
static void put_seconds(FILE *to, uint64_t milliseconds)
{
	fprintf(to, "%" PRIu64 ".%03u\n", milliseconds / 1000,
		(unsigned)(milliseconds % 1000));
}

static void put_counts(const struct status_counts *c, const struct kind *k, FILE *to)
{
	struct status_tallies codes;

	status_count_codes(&c->reasons, &codes);
	put_tallies(to, k, "sessions", "tls", "Sessions that ended, by TLS version.",
		&c->versions);
	put_tallies(to, k, "session_statuses", "status",
		"Records with a status line, by status.", &c->statuses);
	put_single(to, k, "proxy_checks",
		"Health checks of proxies, which are no sessions.", c->n_checks);
	put_family(to, k, "messages", "Messages, by what became of them.");
	for (enum status_outcome o = 0; o < STATUS_OUTCOMES; o++)
		put_labelled(to, k, "messages", "outcome", status_outcome_word(o),
			c->outcomes[o]);
	put_single(to, k, "delivered_bytes", "Octets of delivered messages.", c->octets);
	put_tallies(to, k, "refusals", "code", "Refusals, by code of the reply.", &codes);
	put_single(to, k, "failed_logins", "Attempts to log in that failed.",
		c->n_failed_logins);
	put_single(to, k, "errors", "Errors of the program itself.", c->n_errors);
	put_tallies(to, k, "filter_verdicts", "verdict",
		"Messages that filters looked at, by what they did, of all filters.",
		&c->verdicts);
	put_family(to, k, "filter_wait_seconds",
		"Seconds in which filters were waited for, of all filters.");
	fprintf(to, "%sfilter_wait_seconds%s ", k->prefix, k->suffix);
	put_seconds(to, c->filter_milliseconds);
}

static void put_end_of(FILE *to, const struct tls_description *d)
{
	fputs("postern_certificate_not_after_timestamp_seconds{file=", to);
	put_quoted(to, d->file);
	fputs(",subject=", to);
	put_quoted(to, d->subject);
	fprintf(to, "} %" PRId64 "\n", d->last);
}

static void put_setting(const struct status_setting *s, FILE *to)
{
	if (s->known) {
		put_family(to, &gauges, "tls_setting", "The setting tls, as a label.");
		put_labelled(
			to, &gauges, "tls_setting", "setting", status_setting_word(s), 1);
	}
	if (s->n_certificates)
		put_family(to, &gauges, "certificate_not_after_timestamp_seconds",
			"When the certificate expires.");
	for (size_t i = 0; i < s->n_certificates; i++)
		put_end_of(to, &s->certificates[i]);
	put_single(to, &gauges, "setting_faults",
		"Faults of settings, certificates and keys, as far as they could be "
		"read.",
		s->n_faults);
}

static void put_run(
	FILE *to, const struct status_pipe *pipe, const char *outcome, uint64_t n)
{
	fputs("postern_program_messages{mailbox=", to);
	put_quoted(to, pipe->mailbox);
	fprintf(to, ",outcome=\"%s\"} %" PRIu64 "\n", outcome, n);
}

/* Programs of mailboxes (postern-pipe). */
static void put_programs(const struct status_counts *c, FILE *to)
{
	if (c->n_pipes == 0)
		return;
	put_family(to, &gauges, "program_messages",
		"Messages that a program has processed or refused, by mailbox.");
	for (size_t i = 0; i < c->n_pipes; i++) {
		put_run(to, &c->pipes[i], "done", c->pipes[i].done);
		put_run(to, &c->pipes[i], "failed", c->pipes[i].failed);
	}
	put_family(to, &gauges, "program_waiting",
		"Messages that waited after the last run of the program.");
	for (size_t i = 0; i < c->n_pipes; i++)
		put_labelled(to, &gauges, "program_waiting", "mailbox",
			c->pipes[i].mailbox, c->pipes[i].waiting);
}

static void put_wait(
	FILE *to, const char *name, const char *filter, uint64_t milliseconds)
{
	fprintf(to, "postern_%s{filter=", name);
	put_quoted(to, filter);
	fputs("} ", to);
	put_seconds(to, milliseconds);
}

static void put_filters(const struct status_counts *c, FILE *to)
{
	if (c->n_filters == 0)
		return;
	put_family(to, &gauges, "filter_messages",
		"Messages that a filter looked at, by what it did.");
	for (size_t i = 0; i < c->n_filters; i++)
		for (enum status_verdict v = 0; v < STATUS_VERDICTS; v++) {
			fputs("postern_filter_messages{filter=", to);
			put_quoted(to, c->filters[i].name);
			fprintf(to, ",verdict=\"%s\"} %" PRIu64 "\n",
				status_verdict_word(v), c->filters[i].verdicts[v]);
		}
	put_family(to, &gauges, "filter_seconds",
		"Seconds in which a filter was waited for.");
	for (size_t i = 0; i < c->n_filters; i++)
		put_wait(to, "filter_seconds", c->filters[i].name,
			c->filters[i].milliseconds);
	put_family(to, &gauges, "filter_longest_seconds",
		"The longest that a filter was waited for, with one message.");
	for (size_t i = 0; i < c->n_filters; i++)
		put_wait(to, "filter_longest_seconds", c->filters[i].name,
			c->filters[i].longest);
}

/* Writes counts of the whole source, not of a span of time. */
static void put_source(const struct status_panel *p, FILE *to)
{
	put_single(to, &gauges, "skipped_lines", "Lines of the log that are no records.",
		p->n_skipped);
	if (p->counts->has_newest)
		put_single(to, &gauges, "newest_record_timestamp_seconds",
			"When the newest record was written.",
			(uint64_t)p->counts->newest);
}

void status_metrics_put(
	const struct status_panel *panel, const struct status_totals *totals, FILE *to)
{
	put_single(to, &gauges, "window_seconds",
		"Seconds of records that are counted here.", (uint64_t)panel->window);
	put_counts(panel->counts, &gauges, to);
	put_programs(panel->counts, to);
	put_filters(panel->counts, to);
	put_source(panel, to);
	put_setting(panel->setting, to);
	if (totals) {
		put_single(to, &gauges, "recorded_since_timestamp_seconds",
			"When the counters began.", (uint64_t)totals->began);
		put_counts(&totals->counts, &counters, to);
	}
	fputs("# EOF\n", to);
}
