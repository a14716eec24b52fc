/*
 * Files that a process has opened by path, as they were then, and whether one of them has changed. Each process
 * watches what it opened itself, with its own rights: a process with other rights cannot decide that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "edge/tls/tls.h"

/* Settings, rules, ticket key, authorities, recipients, four of log-ins, certificates, keys, tls.so; four places. */
#define WATCH_MAX (2 * TLS_PAIR_MAX + 14)

struct watched_file {
	const char *path; /* borrowed */
	bool is_place; /* a directory or a log: another one in its place counts, its content does not */
	int error; /* errno of stat(), or 0 */
	struct stat st;
};

struct watch {
	struct watched_file files[WATCH_MAX];
	size_t n;
};

/* To be called before the file is opened: a change in between is then a change. NULL is no file. */
void watch_add(struct watch *w, const char *path, bool is_place);

/* True when a file has changed, has appeared or has gone since watch_add(). */
bool watch_has_changed(const struct watch *w);

/*
 * Takes the files away that this process has no right to look at, after it has given up rights. How many: a
 * process that kept the rights must watch them.
 */
size_t watch_drop_hidden(struct watch *w);
