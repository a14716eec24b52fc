/* SPDX-License-Identifier: ISC */
/*
 * The program writes a trace of the session, which is then played as a dialogue, so that the trace of a user can
 * become a test. What a trace leaves out on purpose is not compared.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pattern.h"
#include "process.h"

static int is_trace(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* The one file there is, as a path; NULL: none or several. */
static const char *find_trace(struct arena *a, const char *directory)
{
	struct dirent **entries;
	int n = scandir(directory, &entries, is_trace, NULL);
	const char *path = NULL;

	if (n == 1)
		path = arena_print(a, "%s/%s", directory, entries[0]->d_name);
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	return path;
}

/* A trace does not contain which of the test's certificates was used, or that it had no sandbox. */
static void add_setting(struct dialogue *to, const struct dialogue *from, const char *key)
{
	const char *value = dialogue_setting(from, key, NULL);

	if (!value)
		return;
	to->settings = arena_more(
		&to->arena, to->settings, to->n_settings, sizeof(*to->settings));
	to->settings[to->n_settings++] = (struct setting){ key, value };
}

static bool play_trace(const struct surroundings *where, const struct dialogue *d,
	const char *path, struct complaint *ret)
{
	struct dialogue trace = { 0 };
	bool ok = dialogue_read(&trace, path, ret);

	add_setting(&trace, d, "certificate");
	add_setting(&trace, d, "sandbox");
	ok = ok && program_play(where, &trace, ret);
	if (!ok)
		ret->line = 0;
	dialogue_done(&trace);
	return ok;
}

/* The session of a client of unknown address is not traced. */
static bool wants_trace(const struct dialogue *d)
{
	if (d->ways.n && dialogue_has_way(d, "untraced"))
		return false;
	for (size_t i = 0; i < d->n_fields; i++)
		if (span_eq(d->fields[i].name, SPAN("end")) &&
			pattern_matches(d->fields[i].pattern, SPAN("bad-proxy")))
			return false;
	return strcmp(dialogue_setting(d, "peer", ""), "unknown") != 0;
}

bool traced_play(
	const struct surroundings *where, const struct dialogue *d, struct complaint *ret)
{
	char directory[] = "/tmp/postern-traces.XXXXXX";
	struct surroundings traced = *where;
	struct arena a = { 0 };
	const char *path;
	bool ok;

	if (!mkdtemp(directory))
		return complain(ret, 0, "%s: %s", directory, strerror(errno));
	traced.traces = directory;
	ok = program_play(&traced, d, ret);
	path = find_trace(&a, directory);
	if (ok && wants_trace(d))
		ok = path ? play_trace(where, d, path, ret)
			  : complain(ret, 0, "there is no trace");
	if (path)
		unlink(path);
	rmdir(directory);
	arena_done(&a);
	return ok;
}
