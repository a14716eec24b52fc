/* The heavy libraries, each behind a module of ours that is loaded when it is first
 * needed. */
#pragma once

/*
 * Loads `file` from the module directory (the program's own library path) and returns its
 * table `name`, which lives as long as the process. NULL with *ret_error set to the
 * loader's words.
 */
const void *module_load(const char *file, const char *name, const char **ret_error);
