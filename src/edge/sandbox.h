/*
 * The process takes away from itself what it need not do, in two stages: A before the
 * first octet of the peer is read, B when TLS is up and everything the settings need is
 * loaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SANDBOX_DIRS 32 /* directories a settings file can name, in all */

struct sandbox_dirs {
	const char *write[SANDBOX_DIRS]; /* mail-root and, where one is set, the log's
					    directory */
	size_t n_write;
	const char *read[SANDBOX_DIRS]; /* credential directories */
	size_t n_read;
};

struct sandbox_report {
	int landlock; /* the ABI in force; 0 when the kernel has none that serves */
};

/*
 * Gives up root for `user` (a local name): getpwnam, setgroups to its one group, setgid,
 * setuid. No-op when the process is that user already. 0, -ENOENT for an unknown name,
 * else -errno.
 */
int sandbox_user(const char *user);

/*
 * Stage A: no_new_privs, seccomp, Landlock (ABI 2 and later; otherwise counted as
 * absent). Libraries, modules and dirs.read may be read, dirs.write written below;
 * nothing may be executed as a program. A directory that does not exist is skipped. 0 or
 * -errno: then the caller must not go on.
 */
int sandbox_enter(const struct sandbox_dirs *dirs, struct sandbox_report *ret_report);

/* Stage B: no more executable memory, and reads outside dirs.write end too. 0 or -errno.
 */
int sandbox_tighten(const struct sandbox_dirs *dirs);
