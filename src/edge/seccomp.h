/*
 * The system call filters. Each call adds one for the process and for good; no_new_privs must be
 * set. 0 or -errno; a kernel without seccomp is -ENOSYS or -EINVAL.
 */
#pragma once

/* Stage A: what a connection needs. Memory is executable only where a file is mapped. */
int seccomp_enter(void);

/* Stage A of a process that accepts connections and forks a process for each. */
int seccomp_enter_accepting(void);

/* On top of that, in such a process: it forks no other. */
int seccomp_enter_forked(void);

/* Stage B, on top of A: no executable memory. */
int seccomp_tighten(void);
