/*
 * Promises a program that does what the tables say, whatever their length; refuses to know what the
 * calls are. The search for a call's number has two steps, as the kernel tries every number once when
 * it puts the filter in force: a plain list costs it more, a tree costs us more.
 *
 * The program is written from its end to its start: jumps only go forward, so the target of each is
 * known when it is written. A label is an index into the program.
 */
#include "edge/bpf.h"

#include <assert.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "no system call filter for this architecture"
#endif

#define JUMP_MAX 254 /* an offset is an octet, and put_branch() may add one */

static inline size_t put(
	struct bpf_program *p, uint16_t code, uint32_t k, size_t yes, size_t no)
{
	assert(p->first > 0 && (yes | no) <= UINT8_MAX);
	p->at[--p->first] = (struct sock_filter){ code, (uint8_t)yes, (uint8_t)no, k };
	return p->first;
}

static size_t put_return(struct bpf_program *p, uint32_t action)
{
	return put(p, BPF_RET | BPF_K, action, 0, 0);
}

static size_t put_load(struct bpf_program *p, size_t offset)
{
	return put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* A label as near as a conditional jump can reach: itself, or a jump to it. */
static inline size_t reach(struct bpf_program *p, size_t label)
{
	size_t offset = label - p->first;

	if (offset <= JUMP_MAX)
		return label;
	return put(p, BPF_JMP | BPF_JA, (uint32_t)offset, 0, 0);
}

static inline size_t put_branch(
	struct bpf_program *p, uint16_t test, uint32_t k, size_t yes, size_t no)
{
	size_t near_yes = reach(p, yes);
	size_t near_no = reach(p, no);

	return put(p, BPF_JMP | BPF_K | test, k, near_yes - p->first, near_no - p->first);
}

/* Both architectures are little-endian: the low half of an argument comes first. */
static size_t put_check(
	struct bpf_program *p, const struct bpf_check *c, size_t yes, size_t no)
{
	size_t low = offsetof(struct seccomp_data, args) + c->arg * sizeof(uint64_t);

	switch (c->test) {
	case ARG_ANY:
		return yes;
	case ARG_IS:
		put_branch(p, BPF_JEQ, c->value, yes, no);
		return put_load(p, low);
	case ARG_HAS_NO:
		put_branch(p, BPF_JSET, c->value, no, yes);
		return put_load(p, low);
	case ARG_IS_OWN_PID:
		put_branch(p, BPF_JEQ, (uint32_t)getpid(), yes, no);
		return put_load(p, low);
	case ARG_IS_NULL:
		put_branch(p, BPF_JEQ, 0, yes, no);
		yes = put_load(p, low + sizeof(uint32_t));
		put_branch(p, BPF_JEQ, 0, yes, no);
		return put_load(p, low);
	}
	assert(false);
	return no;
}

static size_t put_rule(
	struct bpf_program *p, const struct bpf_rule *r, size_t allow, size_t otherwise)
{
	size_t next = put_check(p, &r->checks[1], allow, otherwise);

	return put_check(p, &r->checks[0], next, otherwise);
}

enum verdict {
	OTHERS,
	ALLOW,
	KILL,
	RULES, /* and from here on the rows of table.rules */
};

/* What becomes of each call. Neighbours with one verdict are a run. */
struct plan {
	uint8_t verdict[BPF_CALLS];
	size_t label[RULES + BPF_RULES_MAX];
	size_t n_rules; /* of all tables so far */
};

static void plan_set(struct plan *plan, uint16_t call, size_t verdict)
{
	assert(call < BPF_CALLS - 1);
	plan->verdict[call] = (uint8_t)verdict;
}

/* Each row of a call goes on with the next, the last with its errno. */
static void put_rules(struct bpf_program *p, const struct bpf_table *t, struct plan *plan)
{
	size_t allow = put_return(p, SECCOMP_RET_ALLOW);
	size_t next = allow, first = RULES + plan->n_rules;

	plan->n_rules += t->n_rules;
	assert(plan->n_rules <= BPF_RULES_MAX);
	for (size_t i = t->n_rules; i-- > 0;) {
		const struct bpf_rule *r = &t->rules[i];

		assert(r->otherwise || (i + 1 < t->n_rules && r[1].call == r->call));
		if (r->otherwise)
			next = put_return(p, SECCOMP_RET_ERRNO | r->otherwise);
		next = put_rule(p, r, allow, next);
		plan->label[first + i] = next;
		plan_set(plan, r->call, first + i);
	}
}

/* Those of the base first: what the table itself says comes in their place. */
static void put_table(struct bpf_program *p, const struct bpf_table *t, struct plan *plan)
{
	if (t->base)
		put_table(p, t->base, plan);
	for (size_t i = 0; i < t->n_allowed; i++)
		plan_set(plan, t->allowed[i], ALLOW);
	for (size_t i = 0; i < t->n_deadly; i++)
		plan_set(plan, t->deadly[i], KILL);
	put_rules(p, t, plan);
}

/* The first call of the next run. */
static uint32_t run_end(const struct plan *plan, uint32_t call)
{
	const uint8_t verdict = plan->verdict[call];

	do {
		call++;
	} while (call < BPF_CALLS && plan->verdict[call] == verdict);
	return call;
}

/* Some runs, searched in turn. */
struct block {
	uint32_t call; /* the first */
	size_t label;
};

/* First the blocks, from the highest down; then the runs of one, the same way. */
static size_t put_search(struct bpf_program *p, const struct plan *plan)
{
	struct block blocks[BPF_CALLS / BPF_BLOCK];
	size_t n_runs = 0;
	size_t n = 0;

	for (uint32_t call = 0; call < BPF_CALLS; call = run_end(plan, call)) {
		size_t label = plan->label[plan->verdict[call]];

		if (n_runs++ % BPF_BLOCK == 0)
			blocks[n++] = (struct block){ call, label };
		else
			blocks[n - 1].label =
				put_branch(p, BPF_JGE, call, label, blocks[n - 1].label);
	}
	for (size_t i = 1; i < n; i++)
		blocks[0].label = put_branch(
			p, BPF_JGE, blocks[i].call, blocks[i].label, blocks[0].label);
	return blocks[0].label;
}

void bpf_assemble(struct bpf_program *p, const struct bpf_table *t)
{
	struct plan plan = { .verdict = { OTHERS } };
	size_t known; /* the way on for our own architecture */
	size_t kill;

	p->first = BPF_PROGRAM_MAX;
	put_table(p, t, &plan);
	plan.label[OTHERS] = put_return(p, t->others);
	plan.label[KILL] = put_return(p, SECCOMP_RET_KILL_PROCESS);
	plan.label[ALLOW] = put_return(p, SECCOMP_RET_ALLOW);
	known = put_search(p, &plan);
	/* The numbers of x32 are above all of ours: they are among the others. */
	assert(known == p->first);
	known = put_load(p, offsetof(struct seccomp_data, nr));
	kill = put_return(p, SECCOMP_RET_KILL_PROCESS);
	put_branch(p, BPF_JEQ, ARCH, known, kill);
	put_load(p, offsetof(struct seccomp_data, arch));
}
