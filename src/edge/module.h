/* SPDX-License-Identifier: ISC */
/*
 * Modules: each links a large library, and is loaded when it is first needed. In a static
 * program (bin/inside) they are part of it, and nothing is loaded.
 */
#pragma once

#include "base/buf.h"

#define MODULE_PATH_MAX 512

/*
 * Where the modules are: beside the program when they are there, as in a build folder,
 * else where they were installed. A full path, so that the loader searches nowhere: a
 * library path in the program would make it look for libc there first, at every start. To
 * be asked before the sandbox closes.
 */
void module_directory(struct buf *ret_path);

/*
 * Loads `file` from the directory and returns its table `name`, which lives as long as
 * the process. NULL with *ret_error set to the loader's words.
 */
const void *module_load(const char *directory, const char *file, const char *name,
	const char **ret_error);

/* In a static program: what is inside, and what is missing, in one line. Else NULL. */
const char *module_inside(void);

/*
 * Calls take() for each file and directory that loading a module reads. 0, -errno, or
 * what take() returned where that is not 0.
 */
int module_search(int (*take)(void *ctx, const char *path), void *ctx);

/*
 * Gives back memory of libraries that a connection which waits does not need. They take
 * it again when they need it. In a static program alone.
 */
void module_rest(void);

/* Why the module could not be loaded: the loader's words, and what to do. */
void module_put_fault(
	struct buf *to, const char *directory, const char *file, const char *error);

/* The same, with every symbol resolved at once: for a process that forks children. */
const void *module_load_whole(const char *directory, const char *file, const char *name,
	const char **ret_error);
