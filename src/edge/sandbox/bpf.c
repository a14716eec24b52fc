/* SPDX-License-Identifier: ISC */
/*
 * The assembler of system call filters: makes a BPF program from the tables of seccomp.c.
 * The program compares the number of a call with those of the tables, one after the
 * other: allowed calls first, then calls with checked arguments, then those that end the
 * process. A binary search is no faster, because the cost for a session is the kernel's
 * translation of the program, not its execution.
 *
 * The program is written from its end to its start: jumps only go forward, so their
 * targets are known when they are written. A label is an index into the program.
 */
#include "edge/sandbox/kernel.h"

#include <assert.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#else
#error "no system call filter for this architecture: -Dseccomp=disabled"
#endif

#define JUMP_MAX 254 /* an offset is an octet, and put_branch() may add one */
#define RETURN (BPF_RET | BPF_K)

static inline size_t put(
	struct bpf_program *p, uint16_t code, uint32_t k, size_t yes, size_t no)
{
	assert(p->first > 0 && (yes | no) <= UINT8_MAX);
	p->at[--p->first] = (struct sock_filter){ code, (uint8_t)yes, (uint8_t)no, k };
	return p->first;
}

static inline size_t put_step(struct bpf_program *p, uint16_t code, uint32_t k)
{
	return put(p, code, k, 0, 0);
}

static size_t put_load(struct bpf_program *p, size_t offset)
{
	return put_step(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* Returns a label that a conditional jump can reach: this one, or a jump to it. */
static inline size_t reach(struct bpf_program *p, size_t label)
{
	size_t offset = label - p->first;

	if (offset <= JUMP_MAX)
		return label;
	return put_step(p, BPF_JMP | BPF_JA, (uint32_t)offset);
}

static inline size_t put_branch(
	struct bpf_program *p, uint16_t test, uint32_t k, size_t yes, size_t no)
{
	size_t near_yes = reach(p, yes);
	size_t near_no = reach(p, no);

	return put(p, BPF_JMP | BPF_K | test, k, near_yes - p->first, near_no - p->first);
}

/* The returns are together at the end of the program, one for each action. */
static size_t put_return(struct bpf_program *p, uint32_t action)
{
	for (size_t i = p->n; i-- > p->first && p->at[i].code == RETURN;)
		if (p->at[i].k == action)
			return i;
	return put_step(p, RETURN, action);
}

/* All these architectures are little-endian: the low half of an argument comes first. */
static size_t low_half(const struct bpf_check *c)
{
	return offsetof(struct seccomp_data, args) + c->arg * sizeof(uint64_t);
}

/* Writes a test of the low half of an argument, which is loaded. */
static size_t put_test(
	struct bpf_program *p, const struct bpf_check *c, size_t yes, size_t no)
{
	switch (c->test) {
	case ARG_ANY:
		return yes;
	case ARG_NEVER:
		return no;
	case ARG_IS:
		return put_branch(p, BPF_JEQ, c->value, yes, no);
	case ARG_HAS_NO:
		return put_branch(p, BPF_JSET, c->value, no, yes);
	case ARG_IS_OWN_PID:
		return put_branch(p, BPF_JEQ, (uint32_t)getpid(), yes, no);
	case ARG_IS_NULL:
		put_branch(p, BPF_JEQ, 0, yes, no);
		yes = put_load(p, low_half(c) + sizeof(uint32_t));
		return put_branch(p, BPF_JEQ, 0, yes, no);
	}
	assert(false);
	return no;
}

static size_t put_check(
	struct bpf_program *p, const struct bpf_check *c, size_t yes, size_t no)
{
	size_t test = put_test(p, c, yes, no);

	return c->test == ARG_ANY || c->test == ARG_NEVER ? test
							  : put_load(p, low_half(c));
}

/* The labels for allowed calls, and for calls that end the process. */
struct ends {
	size_t allow, kill;
};

static size_t put_calls(struct bpf_program *p, const uint16_t *calls, size_t n,
	size_t label, size_t others)
{
	while (n-- > 0)
		others = put_branch(p, BPF_JEQ, calls[n], label, others);
	return others;
}

/*
 * A row of a call that does not match continues at the next one, the last row at its
 * errno.
 */
static size_t put_rules(
	struct bpf_program *p, const struct bpf_table *t, size_t allow, size_t others)
{
	size_t next = 0;

	for (size_t i = t->n_rules; i-- > 0;) {
		const struct bpf_rule *r = &t->rules[i];

		assert(r->otherwise || (i + 1 < t->n_rules && r[1].call == r->call));
		if (r->otherwise)
			next = put_return(p, SECCOMP_RET_ERRNO | r->otherwise);
		next = put_check(
			p, &r->checks[0], put_check(p, &r->checks[1], allow, next), next);
		if (i == 0 || r[-1].call != r->call)
			others = put_branch(p, BPF_JEQ, r->call, next, others);
	}
	return others;
}

/* Calls of the base come after the table's own, which therefore take precedence. */
static size_t put_table(struct bpf_program *p, const struct bpf_table *t,
	const struct ends *ends, size_t others)
{
	if (t->base)
		others = put_table(p, t->base, ends, others);
	others = put_calls(p, t->deadly, t->n_deadly, ends->kill, others);
	others = put_rules(p, t, ends->allow, others);
	return put_calls(p, t->allowed, t->n_allowed, ends->allow, others);
}

/* Writes all returns, so that they are together and put_return() finds them. */
static void put_returns(struct bpf_program *p, const struct bpf_table *t)
{
	if (t->base)
		put_returns(p, t->base);
	for (size_t i = 0; i < t->n_rules; i++)
		if (t->rules[i].otherwise)
			put_return(p, SECCOMP_RET_ERRNO | t->rules[i].otherwise);
}

/*
 * COST: 0.15 ms of a session (seccomp() alone, lowest tenth of 400 processes, Linux
 * 6.18); without it: the kernel runs the program once for every number, to find calls
 * that are allowed with any arguments. It stops at an instruction that it does not
 * emulate, such as this one.
 */
static void put_unfollowed(struct bpf_program *p)
{
	put_step(p, BPF_LDX | BPF_IMM, 0);
}

void bpf_assemble(struct bpf_program *p, const struct bpf_table *t)
{
	struct ends ends;
	size_t known;

	p->first = p->n;
	ends.allow = put_return(p, SECCOMP_RET_ALLOW);
	ends.kill = put_return(p, SECCOMP_RET_KILL_PROCESS);
	put_returns(p, t);
	put_table(p, t, &ends, put_step(p, RETURN, t->others));
	known = put_load(p, offsetof(struct seccomp_data, nr));
	put_branch(p, BPF_JEQ, ARCH, known, ends.kill);
	put_load(p, offsetof(struct seccomp_data, arch));
	put_unfollowed(p);
}
