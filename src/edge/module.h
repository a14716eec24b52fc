/* SPDX-License-Identifier: ISC */
/*
 * Modules. Each one links a large library, and is loaded when it is first needed. A
 * static program (bin/inside) contains them, and loads nothing.
 */
#pragma once

#include "base/buf.h"

#define MODULE_PATH_MAX 512

/*
 * The name of a module's table contains the version (MODULE_VERSION, of meson.build), so
 * that a process that started before an upgrade uses no module of another version.
 */
#define MODULE_TABLE(name) name MODULE_VERSION

/*
 * Appends the directory of the modules: that of the program, if they are there, as in a
 * build folder; else the directory of the installation. It is a full path, so that the
 * loader does not search. A library path in the program would make the loader search it
 * for libc first, at every start. Called before the sandbox is entered.
 */
void module_directory(struct buf *ret_path);

/*
 * Loads `file` from the directory and returns its table `name`, which is valid until the
 * process ends. NULL: *ret_error is the loader's text.
 */
const void *module_load(const char *directory, const char *file, const char *name,
	const char **ret_error);

/* Returns a line with the modules that a static program contains and lacks; else NULL. */
const char *module_inside(void);

/*
 * Calls take() for each file and directory that loading a module reads. 0, -errno, or
 * what take() returned where that is not 0.
 */
int module_search(int (*take)(void *ctx, const char *path), void *ctx);

/*
 * Releases memory of libraries that a waiting connection does not need; they allocate it
 * again when they need it. Has an effect only in a static program.
 */
void module_rest(void);

/* Appends why the module could not be loaded: the loader's text, and a cure. */
void module_put_fault(
	struct buf *to, const char *directory, const char *file, const char *error);

/* Like module_load(), with all symbols resolved at once, for a process that forks. */
const void *module_load_whole(const char *directory, const char *file, const char *name,
	const char **ret_error);
