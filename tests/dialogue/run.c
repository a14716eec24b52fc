/* SPDX-License-Identifier: ISC */
/*
 * run-dialogue WAY [PROGRAM] FILE...: plays each dialogue and prints TAP; a directory means all its .txt files. Each
 * file that has the way gets one line.
 */
#include <dirent.h>
#include <err.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "way.h"

struct way_row {
	const char *name;
	const char *like; /* the way that a dialogue names */
	bool needs_program;
	bool (*play)(const struct surroundings *where, const struct dialogue *d,
		struct complaint *ret);
};

/* A dialogue that is wrong on purpose must fail. */
static bool broken_play(
	const struct surroundings *where, const struct dialogue *d, struct complaint *ret)
{
	struct complaint found;

	return !engine_play(where, d, &found) ||
	       complain(ret, 0, "nothing was found wrong with it");
}

static const struct way_row ways[] = {
	{ "engine", "engine", false, engine_play },
	{ "serve", "serve", false, serve_play },
	{ "program", "program", true, program_play },
	{ "traced", "program", true, traced_play },
	{ "broken", "broken", false, broken_play },
};

static const struct way_row *find_way(const char *name)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (strcmp(ways[i].name, name) == 0)
			return &ways[i];
	errx(99, "no such way: %s", name);
}

/* Each line of a complaint as a comment of TAP. */
static void print_complaint(const char *path, const struct complaint *c)
{
	const char *p = c->text;

	printf("# %s:%zu: ", path, c->line);
	for (; *p; p++) {
		if (*p == '\n')
			printf("\n#   ");
		else if (*p == '\r')
			printf("\\r");
		else if ((*p < 32 && *p != '\t') || *p > 126)
			printf("\\x%02X", (unsigned char)*p);
		else
			putchar(*p);
	}
	putchar('\n');
}

/* A program that was built without the module has no logins. */
static bool lacks_module(const struct way_row *way, const struct dialogue *d)
{
	return way->needs_program && !HAS_SASL &&
	       strcmp(dialogue_setting(d, "auth", "off"), "off") != 0;
}

/* Plays one file. False when it failed; a file without the way is only mentioned. */
static bool play_file(const struct way_row *way, const struct surroundings *where,
	const char *path, size_t *number)
{
	struct dialogue d = { 0 };
	struct complaint what = { 0 };
	bool ok = dialogue_read(&d, path, &what);

	if (ok && !dialogue_has_way(&d, way->like)) {
		printf("# %s: not in this way:%.*s\n", path, (int)d.reason.n, d.reason.p);
	} else if (ok && lacks_module(way, &d)) {
		printf("# %s: not in this way: without sasl.so\n", path);
	} else {
		ok = ok && way->play(where, &d, &what);
		printf("%sok %zu - %s\n", ok ? "" : "not ", ++*number, path);
		if (!ok)
			print_complaint(path, &what);
	}
	dialogue_done(&d);
	return ok;
}

/* The subject and the result of the run. */
struct tally {
	const struct way_row *way;
	struct surroundings where;
	size_t n, n_failed;
};

static int is_dialogue(const struct dirent *entry)
{
	return span_ends(span_of(entry->d_name), SPAN(".txt"));
}

static void play_directory(
	struct tally *t, const char *directory, int n, struct dirent **entries)
{
	char path[PATH_MAX];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
		t->n_failed += !play_file(t->way, &t->where, path, &t->n);
		free(entries[i]);
	}
	free(entries);
}

static void play_argument(struct tally *t, const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, is_dialogue, alphasort);

	if (n >= 0)
		play_directory(t, path, n, entries);
	else
		t->n_failed += !play_file(t->way, &t->where, path, &t->n);
}

static int remove_one(
	const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

int main(int argc, char **argv)
{
	char directory[] = "/tmp/postern-dialogue.XXXXXX";
	struct tally t = { .where.directory = directory };
	int first = 2;

	if (argc < 3)
		errx(99, "usage: run-dialogue WAY [PROGRAM] FILE...");
	t.way = find_way(argv[1]);
	if (t.way->needs_program)
		t.where.program = argv[first++];
	if (!mkdtemp(directory))
		err(99, "%s", directory);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = first; i < argc; i++)
		play_argument(&t, argv[i]);
	printf("1..%zu\n", t.n);
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return t.n == 0 || t.n_failed;
}
