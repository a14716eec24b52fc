/* Promises that a missing library costs its own feature alone; refuses to know what a
 * table holds. */
#include <dlfcn.h>
#include <stddef.h>
#include "edge/module.h"

const void *module_load(const char *file, const char *name, const char **ret_error)
{
	void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	const void *table = module ? dlsym(module, name) : NULL;

	if (!table)
		*ret_error = dlerror();
	return table;
}
