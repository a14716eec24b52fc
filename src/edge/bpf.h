/* A system call filter as tables, and the assembler that makes a BPF program of them. */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BPF_CALLS 512 /* every call in a table has a lower number */
#define BPF_RULES_MAX 48
#define BPF_PROGRAM_MAX 1536 /* instructions; the kernel takes BPF_MAXINSNS, 4096 */

/*
 * A call ends at most two runs of calls with one verdict. A branch is at most three instructions, with
 * its jumps; a run has one, a block of runs another, a rule two checks of two, and its errno.
 */
#define BPF_BLOCK 8
#define BPF_RUNS(n_calls, n_rules) (2 * ((n_calls) + (n_rules)) + 1)
#define BPF_LONGEST(n_calls, n_rules)                                                    \
	(BPF_RUNS(n_calls, n_rules) * 3 * (BPF_BLOCK + 1) / BPF_BLOCK + 17 * (n_rules) + \
		16)

/* Arguments are 32 bits wide, as the kernel reads them; only ARG_IS_NULL sees all 64. */
enum bpf_test {
	ARG_ANY,
	ARG_IS,
	ARG_HAS_NO, /* of the bits in value */
	ARG_IS_NULL,
	ARG_IS_OWN_PID,
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

/* No call is in more than one of the three; BPF_LONGEST is at most BPF_PROGRAM_MAX. */
struct bpf_table {
	const uint16_t *allowed;
	size_t n_allowed;
	const uint16_t *deadly;
	size_t n_deadly;
	const struct bpf_rule *rules;
	size_t n_rules; /* with those of the base at most BPF_RULES_MAX */
	uint32_t others; /* the action for a call in none of them */
	/* Says what becomes of calls that are in none of the three, but for its `others`; or NULL. */
	const struct bpf_table *base;
};

struct bpf_program {
	struct sock_filter at[BPF_PROGRAM_MAX];
	size_t first; /* the program is at[first] to the end */
};

void bpf_assemble(struct bpf_program *p, const struct bpf_table *t);
