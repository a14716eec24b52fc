/* SPDX-License-Identifier: ISC */
/* A module under test, loaded as it was built. */
#pragma once

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include "unit/test.h"

/* It is named by argv[1] or the variable. */
static inline void *lab_module(int argc, char *argv[], const char *variable)
{
	const char *path = argc > 1 ? argv[1] : getenv(variable);
	void *module;

	REQUIRE(path != NULL);
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		fprintf(stderr, "%s\n", dlerror());
	REQUIRE(module != NULL);
	return module;
}
