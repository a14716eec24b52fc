/* SPDX-License-Identifier: ISC */
/*
 * What the kernel enforces: Landlock rulesets, system call filters, and the tables and
 * programs of which the filters are made.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A Landlock ruleset under construction: all access is denied, except what is allowed
 * below named paths. If the kernel has no usable Landlock, abi is 0 and the functions do
 * nothing.
 */

/* with an older ABI a file that may be read may be truncated */
#define LANDLOCK_ABI_TRUNCATE 3

enum landlock_access {
	LANDLOCK_READ, /* files */
	/*
	 * make directories; make, write, link, rename and remove files, and read none:
	 * what can be written and read could be mapped as code
	 */
	LANDLOCK_KEEP,
	/*
	 * make, write, read and remove files, none of which can be linked or moved to or
	 * from another directory: stored mail does not come here
	 */
	LANDLOCK_SPOOL,
};

struct landlock {
	int fd;
	int abi;
	uint64_t handled; /* rights on files this kernel can deny */
};

/*
 * Starts a ruleset, as a kernel whose ABI is `most` would have it; 0: the kernel's own.
 * `connects`: connect() stays possible, and a system call filter must limit it.
 * 0, with ret->abi 0 when Landlock is absent, or -errno.
 */
int landlock_init(struct landlock *ret, int most, bool connects);
void landlock_done(struct landlock *l);

/* Allows `access` below path, or on it if a file. 0 or -errno, -ENOENT for none. */
int landlock_allow(struct landlock *l, const char *path, enum landlock_access access);

/* The same for an open file or directory, which stays open. */
int landlock_allow_open(struct landlock *l, int fd, enum landlock_access access);

/* Applies the ruleset to this process for good; no_new_privs must be set. 0 or -errno. */
int landlock_enforce(struct landlock *l);

/*
 * System call filters. Each of the seccomp functions adds one for the process and for
 * good; no_new_privs must be set. 0 or -errno; a kernel without seccomp is -ENOSYS or
 * -EINVAL.
 */

/* False on an architecture that has no filter: the functions then do nothing. */
bool seccomp_exists(void);

/* Calls that are allowed only to processes that need them, and can do no harm there. */
struct seccomp_needs {
	bool fchown; /* of any file that is open */
	bool delivery; /* to walk to mailboxes, and to make and link what is in them */
	bool landlock; /* to enter stage B later */
};

/* Stage A: what a connection needs. Memory is executable only where a file is mapped. */
int seccomp_enter(const struct seccomp_needs *needs);

/* Stage A of a process that accepts connections and forks a process for each. */
int seccomp_enter_accepting(const struct seccomp_needs *needs);

/* The filter of a process that was forked there, in addition: no accept(), no fork(). */
int seccomp_enter_forked(void);

/* A process that makes and connects sockets, and passes them to others. */
int seccomp_enter_connecting(void);

/*
 * A process that signs: only calls on open descriptors, or with tokens all but the most
 * dangerous.
 */
int seccomp_enter_signing(bool has_tokens);

/* A process that makes files as their owners: see seccomp-broker.c. */
int seccomp_enter_broker(void);

/* Stage B, on top of A: no executable memory, and no more rules of Landlock. */
int seccomp_tighten(void);

/* Filters as tables, and the assembler that makes a BPF program of them. */

#define BPF_CALLS_MAX 256 /* calls of a filter, without rules */
#define BPF_RULES_MAX 32

/*
 * A branch is at most three instructions, with its jumps: one for each call; for a rule
 * one, two checks of two branches and two loads, and its errno.
 */
#define BPF_LENGTH_MAX(calls, rules) (3 * (calls) + 20 * (rules) + 16)
#define BPF_PROGRAM_MAX BPF_LENGTH_MAX(BPF_CALLS_MAX, BPF_RULES_MAX)

/* Arguments are 32 bits wide, as the kernel reads them; only ARG_IS_NULL sees all 64. */
enum bpf_test {
	ARG_ANY,
	ARG_IS,
	ARG_HAS_NO, /* of the bits in value */
	ARG_IS_NULL,
	ARG_IS_OWN_PID,
	ARG_NEVER, /* never true: refuses a call that a base allows */
};

struct bpf_check {
	uint8_t arg; /* 0 to 5 */
	enum bpf_test test;
	uint32_t value;
};

/* Allowed when both checks of one of its rows hold. The rows of a call stand together. */
struct bpf_rule {
	uint16_t call;
	uint16_t otherwise; /* errno, in the last row of a call; 0 in the others */
	struct bpf_check checks[2];
};

/* A filter. No call is in more than one of the three lists. */
struct bpf_table {
	const uint16_t *allowed;
	size_t n_allowed;
	const uint16_t *deadly;
	size_t n_deadly;
	const struct bpf_rule *rules;
	size_t n_rules; /* with those of the base at most BPF_RULES_MAX */
	uint32_t others; /* the action for a call in none of them */
	/* the table for calls in none of the three, without its `others`; or NULL */
	const struct bpf_table *base;
};

struct bpf_program {
	struct sock_filter *at;
	size_t n; /* length of `at`, at most BPF_PROGRAM_MAX */
	size_t first; /* the program is at[first] to the end */
};

void bpf_assemble(struct bpf_program *p, const struct bpf_table *t);

/* Applies a filter to this process. 0 or -errno, as above. */
int seccomp_enforce(const struct bpf_table *t);
