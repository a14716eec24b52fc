/* A system call filter as tables, and the assembler that makes a BPF program of them. */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BPF_CALLS 512 /* every call in a table has a lower number */
#define BPF_WORDS (BPF_CALLS / 32)
#define BPF_RULES_MAX 32

/*
 * A branch is at most three instructions, with its jumps. A word has up to three and a step; a rule one, two
 * checks of two branches and two loads, and its errno.
 */
#define BPF_PROGRAM_MAX (10 * BPF_WORDS + 20 * BPF_RULES_MAX + 16)

/* Arguments are 32 bits wide, as the kernel reads them; only ARG_IS_NULL sees all 64. */
enum bpf_test {
	ARG_ANY,
	ARG_IS,
	ARG_HAS_NO, /* of the bits in value */
	ARG_IS_NULL,
	ARG_IS_OWN_PID,
	ARG_NEVER, /* holds for none: a call that a base allows is refused */
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

/* No call is in more than one of the three. */
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
