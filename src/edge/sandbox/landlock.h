/*
 * A Landlock ruleset under construction: everything is denied, then allowed again below named paths.
 * Where the kernel has no Landlock that serves, abi is 0 and all calls are no-ops.
 */
#pragma once

#include <stdint.h>

#define LANDLOCK_ABI_TRUNCATE 3 /* before, what may be read may be emptied */

enum landlock_access {
	LANDLOCK_READ, /* files */
	/* make directories; make, write, link, rename and remove files, and read none: what can be written and read
	 * could be mapped as code */
	LANDLOCK_KEEP,
};

struct landlock {
	int fd;
	int abi;
	uint64_t handled; /* rights on files this kernel can deny */
};

/*
 * Starts a ruleset, as a kernel whose ABI is `most` would have it; 0: the kernel's own. 0, with ret->abi 0 when
 * Landlock is absent, or -errno.
 */
int landlock_init(struct landlock *ret, int most);
void landlock_done(struct landlock *l);

/* Allows `access` below path, or on it when it is a file. 0 or -errno, -ENOENT for none. */
int landlock_allow(struct landlock *l, const char *path, enum landlock_access access);

/* Puts it in force, for the process and for good; no_new_privs must be set. 0 or -errno. */
int landlock_enforce(struct landlock *l);
