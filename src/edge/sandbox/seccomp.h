/*
 * The system call filters. Each call adds one for the process and for good; no_new_privs must be
 * set. 0 or -errno; a kernel without seccomp is -ENOSYS or -EINVAL.
 */
#pragma once

#include <stdbool.h>

/* Calls that are allowed only where they are needed and can do no harm. */
struct seccomp_needs {
	bool fchown; /* of any file that is open */
	bool landlock; /* for stage B, when that is entered later */
};

/* Stage A: what a connection needs. Memory is executable only where a file is mapped. */
int seccomp_enter(const struct seccomp_needs *needs);

/* Stage A of a process that accepts connections and forks a process for each. */
int seccomp_enter_accepting(const struct seccomp_needs *needs);

/* On top of that, in a process that was forked by such a one: it accepts and forks no other. */
int seccomp_enter_forked(void);

/* Stage B, on top of A: no executable memory, and no more rules of Landlock. */
int seccomp_tighten(void);
