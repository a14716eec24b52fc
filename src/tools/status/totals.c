/*
 * A file of totals is a JSON object. Each record is counted once, by its time: from where the last run ended to a minute
 * ago. Of two runs at once the second waits, and counts from where the first ended. Where the clock was set back the last run's end is waited for, but no
 * longer than a day.
 */
#include "tools/status/totals.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"

/* Each number of the file and its place. */
static const struct {
	const char *key;
	size_t at;
} numbers[] = {
	{ "delivered", offsetof(struct status_counts, outcomes[STATUS_DELIVERED]) },
	{ "refused", offsetof(struct status_counts, outcomes[STATUS_REFUSED]) },
	{ "given_up", offsetof(struct status_counts, outcomes[STATUS_GIVEN_UP]) },
	{ "checked", offsetof(struct status_counts, outcomes[STATUS_CHECKED]) },
	{ "delivered_bytes", offsetof(struct status_counts, octets) },
	{ "proxy_checks", offsetof(struct status_counts, n_checks) },
	{ "failed_logins", offsetof(struct status_counts, n_failed_logins) },
	{ "errors", offsetof(struct status_counts, n_errors) },
};

static const struct {
	const char *key;
	size_t at;
} tallies[] = {
	{ "sessions", offsetof(struct status_counts, versions) },
	{ "statuses", offsetof(struct status_counts, statuses) },
	{ "refusals", offsetof(struct status_counts, reasons) },
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
		ok = take_number(from, numbers[i].key, number_at(&t->counts, i));
	for (size_t i = 0; ok && i < COUNT(tallies); i++)
		ok = take_tallies(from, tallies[i].key, tallies_at(&t->counts, i));
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
	/* that run was under a clock that was far ahead */
	if (time.since - now > WAIT_MAX)
		t->until = now;
	/* nothing is new, or the clock was set back */
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

static int put_number(json_t *to, const char *key, uint64_t n)
{
	return json_object_set_new(
		to, key, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

/* JSON has no octets that are no UTF-8: what is no ASCII is left out, as in metrics. */
static int put_tallies(json_t *to, const char *key, const struct status_tallies *t)
{
	json_t *object = json_object();
	int error = json_object_set_new(to, key, object);

	for (size_t i = 0; !error && i < t->n; i++) {
		char text[STATUS_TALLY_TEXT];
		size_t n = 0;

		for (const char *p = t->list[i].text; *p; p++)
			text[n++] = (char)(*p >= 32 && *p <= 126 ? *p : '?');
		text[n] = '\0';
		error = put_number(object, text, t->list[i].n);
	}
	return error;
}

static char *text_of(const struct status_totals *t)
{
	__attribute__((cleanup(cleanup_json))) json_t *json = json_object();
	struct status_counts *c = (struct status_counts *)&t->counts;
	int error = put_number(json, "began", (uint64_t)t->began) |
		    put_number(json, "until", (uint64_t)t->until);

	for (size_t i = 0; i < COUNT(numbers); i++)
		error |= put_number(json, numbers[i].key, *number_at(c, i));
	for (size_t i = 0; i < COUNT(tallies); i++)
		error |= put_tallies(json, tallies[i].key, tallies_at(c, i));
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

/* The file itself where a link has its name, so that the link stays. */
static char *follow(const char *path)
{
	struct stat st;
	bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);

	return is_link ? realpath(path, NULL) : strdup(path);
}

/* The directory is locked, as the file is another one after each run. */
int status_totals_lock(const char *name)
{
	OWNED char *path = follow(name);
	int fd, r = 0;

	if (!path)
		return -errno;
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((r = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
		;
	/* a file system without locks of directories, as NFS: two runs at once are then not kept apart */
	if (r == 0 || errno == EBADF || errno == ENOLCK || errno == EOPNOTSUPP)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int status_totals_write(const char *name, const struct status_totals *t)
{
	OWNED char *text = text_of(t);
	OWNED char *path = follow(name);
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
