/*
 * Promises a program that does what the tables say, whatever their length; refuses to know what the
 * calls are. A process that takes one message pays more for the kernel's translation of the program than
 * for running it, so it is short: numbers are bits of words, and one test settles all calls of a word
 * that have the same verdict. The kernel would also try every number once, to find those that are allowed
 * whatever their arguments; it gives up at the first step that it does not follow, so one comes first.
 * A filter for a few calls, on top of another, is not tried at all then: it has the numbers one by one.
 *
 * The program is written from its end to its start: jumps only go forward, so the target of each is
 * known when it is written. A label is an index into the program.
 */
#include "edge/sandbox/bpf.h"

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
#define RETURN (BPF_RET | BPF_K)
#define FEW 4 /* calls that are told apart sooner one by one than by words */

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

/* A label as near as a conditional jump can reach: itself, or a jump to it. */
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

/* The returns are the end of the program, one for each action. */
static size_t put_return(struct bpf_program *p, uint32_t action)
{
	for (size_t i = BPF_PROGRAM_MAX; i-- > p->first && p->at[i].code == RETURN;)
		if (p->at[i].k == action)
			return i;
	return put_step(p, RETURN, action);
}

/* Both architectures are little-endian: the low half of an argument comes first. */
static size_t low_half(const struct bpf_check *c)
{
	return offsetof(struct seccomp_data, args) + c->arg * sizeof(uint64_t);
}

/* With the low half of the argument loaded. */
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

/* True when a test of `before`, whatever came of it, leaves loaded what `c` tests. */
static bool leaves_loaded(const struct bpf_check *before, const struct bpf_check *c)
{
	return before->arg == c->arg &&
	       (before->test == ARG_IS || before->test == ARG_HAS_NO);
}

static size_t put_check(struct bpf_program *p, const struct bpf_check *c, bool loaded,
	size_t yes, size_t no)
{
	size_t test = put_test(p, c, yes, no);

	if (loaded || c->test == ARG_ANY || c->test == ARG_NEVER)
		return test;
	return put_load(p, low_half(c));
}

/* True when both rows ask for the same first, so that it is asked but once. */
static bool share_first(const struct bpf_rule *a, const struct bpf_rule *b)
{
	const struct bpf_check *x = &a->checks[0], *y = &b->checks[0];

	return a->call == b->call && x->arg == y->arg && x->test == y->test &&
	       x->value == y->value;
}

/* True when each way from that row to the next of its call leaves loaded what `c` tests. */
static bool passes_on(const struct bpf_rule *r, const struct bpf_check *c)
{
	return leaves_loaded(&r->checks[0], c) &&
	       (r->checks[1].test == ARG_ANY || leaves_loaded(&r->checks[1], c));
}

/* What becomes of the calls: those of a word as its bits. */
struct plan {
	uint32_t allowed[BPF_WORDS];
	uint32_t deadly[BPF_WORDS];
	uint32_t ruled[BPF_WORDS];
	struct {
		uint16_t call;
		size_t label;
	} rules[BPF_RULES_MAX]; /* the last of a call counts */
	size_t n_rules;
	size_t allow, kill, others;
};

static void plan_set(struct plan *plan, uint32_t *words, uint16_t call)
{
	uint32_t word = call / 32, bit = 1U << call % 32;

	assert(call < BPF_CALLS);
	plan->allowed[word] &= ~bit;
	plan->deadly[word] &= ~bit;
	plan->ruled[word] &= ~bit;
	words[word] |= bit;
}

static void plan_rule(struct plan *plan, uint16_t call, size_t label)
{
	assert(plan->n_rules < BPF_RULES_MAX);
	plan->rules[plan->n_rules].call = call;
	plan->rules[plan->n_rules++].label = label;
	plan_set(plan, plan->ruled, call);
}

/* Each row of a call goes on with the next, the last with its errno. */
static void put_rules(struct bpf_program *p, const struct bpf_table *t, struct plan *plan)
{
	size_t next = 0; /* when the first check fails */
	size_t beside = 0; /* when only the second does */

	for (size_t i = t->n_rules; i-- > 0;) {
		const struct bpf_rule *r = &t->rules[i];
		bool starts = i == 0 || r[-1].call != r->call;

		assert(r->otherwise || (i + 1 < t->n_rules && r[1].call == r->call));
		if (r->otherwise)
			next = beside = put_return(p, SECCOMP_RET_ERRNO | r->otherwise);
		if (!starts && share_first(r - 1, r)) {
			beside = put_check(p, &r->checks[1],
				leaves_loaded(&r[-1].checks[1], &r->checks[1]),
				plan->allow, beside);
			continue;
		}
		beside = put_check(p, &r->checks[1],
			leaves_loaded(&r->checks[0], &r->checks[1]), plan->allow, beside);
		next = beside = put_check(p, &r->checks[0],
			!starts && passes_on(r - 1, &r->checks[0]), beside, next);
		if (starts)
			plan_rule(plan, r->call, next);
	}
}

/* Those of the base first: what the table itself says comes in their place. */
static void put_table(struct bpf_program *p, const struct bpf_table *t, struct plan *plan)
{
	if (t->base)
		put_table(p, t->base, plan);
	for (size_t i = 0; i < t->n_allowed; i++)
		plan_set(plan, plan->allowed, t->allowed[i]);
	for (size_t i = 0; i < t->n_deadly; i++)
		plan_set(plan, plan->deadly, t->deadly[i]);
	put_rules(p, t, plan);
}

static uint32_t first_bit(uint32_t bits)
{
	return (uint32_t)__builtin_ctz(bits);
}

/* Where a conditional call goes on. */
static size_t find_rule(const struct plan *plan, uint32_t call)
{
	size_t i = plan->n_rules - 1;

	while (plan->rules[i].call != call)
		i--;
	return plan->rules[i].label;
}

/* The calls of one word, with the bit of the call's number in X. */
static size_t put_word(struct bpf_program *p, const struct plan *plan, uint32_t word)
{
	size_t label = plan->others;

	for (uint32_t left = plan->ruled[word]; left; left &= left - 1)
		label = put_branch(p, BPF_JSET, left & -left,
			find_rule(plan, word * 32 + first_bit(left)), label);
	if (plan->deadly[word])
		label = put_branch(p, BPF_JSET, plan->deadly[word], plan->kill, label);
	if (plan->allowed[word])
		label = put_branch(p, BPF_JSET, plan->allowed[word], plan->allow, label);
	return label == plan->others ? label : put_step(p, BPF_MISC | BPF_TXA, 0);
}

/* The words from `first` to before `end`, with the number in A. */
static size_t put_words(
	struct bpf_program *p, const struct plan *plan, uint32_t first, uint32_t end)
{
	uint32_t middle = first + (end - first) / 2;
	size_t above, below;

	if (end - first == 1)
		return put_word(p, plan, first);
	above = put_words(p, plan, middle, end);
	below = put_words(p, plan, first, middle);
	return above == below ? above : put_branch(p, BPF_JGE, middle * 32, above, below);
}

/* The bit of the call's number, among those of its word, comes into X. */
static void put_bit(struct bpf_program *p)
{
	put_step(p, BPF_MISC | BPF_TAX, 0);
	put_step(p, BPF_ALU | BPF_LSH | BPF_X, 0);
	put_step(p, BPF_LD | BPF_IMM, 1);
	put_step(p, BPF_MISC | BPF_TAX, 0);
	put_step(p, BPF_ALU | BPF_AND | BPF_X, 0);
	put_load(p, offsetof(struct seccomp_data, nr));
	put_step(p, BPF_LDX | BPF_IMM, 31);
}

/* With the number of a call of our architecture in A. */
static void put_start(struct bpf_program *p, const struct plan *plan)
{
	size_t known = put_load(p, offsetof(struct seccomp_data, nr));

	put_branch(p, BPF_JEQ, ARCH, known, plan->kill);
	put_load(p, offsetof(struct seccomp_data, arch));
}

static uint32_t calls_in(const struct plan *plan, uint32_t word)
{
	return plan->allowed[word] | plan->deadly[word] | plan->ruled[word];
}

static size_t label_of(const struct plan *plan, uint32_t call)
{
	uint32_t word = call / 32, bit = 1U << call % 32;

	if (plan->allowed[word] & bit)
		return plan->allow;
	return plan->deadly[word] & bit ? plan->kill : find_rule(plan, call);
}

/* The numbers one by one. */
static void put_list(struct bpf_program *p, const struct plan *plan)
{
	size_t label = plan->others;

	for (uint32_t word = 0; word < BPF_WORDS; word++)
		for (uint32_t left = calls_in(plan, word); left; left &= left - 1) {
			uint32_t call = word * 32 + first_bit(left);

			label = put_branch(p, BPF_JEQ, call, label_of(plan, call), label);
		}
	put_start(p, plan);
}

/* The words that have calls, by halves. The numbers of x32 are above all of ours, among the others. */
static void put_tree(struct bpf_program *p, const struct plan *plan)
{
	uint32_t n_words = BPF_WORDS;

	while (n_words > 1 && !calls_in(plan, n_words - 1))
		n_words--;
	put_branch(
		p, BPF_JGE, n_words * 32, plan->others, put_words(p, plan, 0, n_words));
	put_start(p, plan);
	put_bit(p);
}

static size_t count_calls(const struct plan *plan)
{
	size_t n = 0;

	for (uint32_t word = 0; word < BPF_WORDS; word++)
		n += (size_t)__builtin_popcount(calls_in(plan, word));
	return n;
}

/* So that they stand together, where put_return() finds them. */
static void put_returns(struct bpf_program *p, const struct bpf_table *t)
{
	if (t->base)
		put_returns(p, t->base);
	for (size_t i = 0; i < t->n_rules; i++)
		if (t->rules[i].otherwise)
			put_return(p, SECCOMP_RET_ERRNO | t->rules[i].otherwise);
}

void bpf_assemble(struct bpf_program *p, const struct bpf_table *t)
{
	struct plan plan = { 0 };

	p->first = BPF_PROGRAM_MAX;
	plan.allow = put_return(p, SECCOMP_RET_ALLOW);
	plan.kill = put_return(p, SECCOMP_RET_KILL_PROCESS);
	plan.others = put_return(p, t->others);
	put_returns(p, t);
	put_table(p, t, &plan);
	if (count_calls(&plan) > FEW)
		put_tree(p, &plan);
	else
		put_list(p, &plan);
}
