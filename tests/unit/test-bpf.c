/* SPDX-License-Identifier: ISC */
/* edge/sandbox/bpf: the assembler of system call filters is tested by running its programs. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <unistd.h>
#include "edge/sandbox/kernel.h"
#include "unit/test.h"

#ifdef __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#define OTHER_ARCH AUDIT_ARCH_I386
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#define OTHER_ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#define OTHER_ARCH AUDIT_ARCH_ARM
#endif

#define OTHERS (SECCOMP_RET_ERRNO | ENOSYS)
#define REFUSED (SECCOMP_RET_ERRNO | EPERM)
#define FAULT 0xdead /* the program ran out of its bounds */
#define MANY 120
#define X32 0x40000000

/* A and X are registers of the machine that the kernel's networking(7) filters are written for. */
struct machine {
	uint32_t a, x;
};

static uint32_t jump(const struct sock_filter *i, uint32_t a)
{
	switch (i->code) {
	case BPF_JMP | BPF_JA:
		return i->k;
	case BPF_JMP | BPF_JEQ | BPF_K:
		return a == i->k ? i->jt : i->jf;
	case BPF_JMP | BPF_JGE | BPF_K:
		return a >= i->k ? i->jt : i->jf;
	case BPF_JMP | BPF_JSET | BPF_K:
		return a & i->k ? i->jt : i->jf;
	default:
		return FAULT;
	}
}

static bool step(
	struct machine *m, const struct sock_filter *i, const struct seccomp_data *data)
{
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		if (i->k + sizeof(m->a) > sizeof(*data))
			return false;
		memcpy(&m->a, (const char *)data + i->k, sizeof(m->a));
		return true;
	case BPF_LDX | BPF_IMM:
		m->x = i->k;
		return true;
	default:
		return false;
	}
}

static uint32_t run(const struct bpf_program *p, const struct seccomp_data *data)
{
	struct machine m = { 0, 0 };

	for (size_t pc = p->first; pc < BPF_PROGRAM_MAX; pc++) {
		const struct sock_filter *i = &p->at[pc];

		if (i->code == (BPF_RET | BPF_K))
			return i->k;
		if (BPF_CLASS(i->code) == BPF_JMP)
			pc += jump(i, m.a);
		else if (!step(&m, i, data))
			return FAULT;
	}
	return FAULT;
}

static uint32_t verdict(const struct bpf_table *t, const struct seccomp_data *data)
{
	struct sock_filter at[BPF_PROGRAM_MAX];
	struct bpf_program p = { .at = at, .n = BPF_PROGRAM_MAX };

	bpf_assemble(&p, t);
	return run(&p, data);
}

/* Two of every four numbers. */
static void test_every_number_has_its_verdict(void)
{
	static const struct bpf_rule rule = { 511, EPERM, { { 0, ARG_IS, 7 } } };
	uint16_t allowed[MANY], deadly[MANY];
	struct bpf_table t = { allowed, MANY, deadly, MANY, &rule, 1, OTHERS, NULL };
	struct sock_filter at[BPF_PROGRAM_MAX];
	struct bpf_program p = { .at = at, .n = BPF_PROGRAM_MAX };

	for (uint16_t i = 0; i < MANY; i++) {
		allowed[i] = (uint16_t)(i * 4);
		deadly[i] = (uint16_t)(i * 4 + 2);
	}
	bpf_assemble(&p, &t);
	for (int nr = 0; nr < 1024; nr++) {
		const struct seccomp_data data = { .nr = nr, .arch = ARCH };
		uint32_t expected = OTHERS;

		if (nr < 4 * MANY && nr % 4 == 0)
			expected = SECCOMP_RET_ALLOW;
		else if (nr < 4 * MANY && nr % 4 == 2)
			expected = SECCOMP_RET_KILL_PROCESS;
		else if (nr == rule.call)
			expected = REFUSED;
		CHECK(run(&p, &data) == expected);
	}
}

/* The longest rules: some are farther than a branch reaches. */
static void test_the_longest_program_is_right(void)
{
	struct bpf_rule rules[BPF_RULES_MAX];
	struct bpf_table t = {
		.rules = rules, .n_rules = BPF_RULES_MAX, .others = OTHERS
	};
	struct sock_filter at[BPF_PROGRAM_MAX];
	struct bpf_program p = { .at = at, .n = BPF_PROGRAM_MAX };
	size_t far = 0;

	for (uint16_t i = 0; i < BPF_RULES_MAX; i++)
		rules[i] = (struct bpf_rule){ (uint16_t)(i * 16), (uint16_t)(i + 1),
			{ { 0, ARG_IS_NULL, 0 }, { 1, ARG_IS_NULL, 0 } } };
	bpf_assemble(&p, &t);
	for (size_t i = p.first; i < BPF_PROGRAM_MAX; i++)
		far += p.at[i].code == (BPF_JMP | BPF_JA);
	CHECK(far > 0);
	for (int nr = 0; nr < 512; nr++) {
		struct seccomp_data data = { .nr = nr, .arch = ARCH };
		bool ruled = nr % 16 == 0;

		CHECK(run(&p, &data) == (ruled ? SECCOMP_RET_ALLOW : OTHERS));
		data.args[1] = 1;
		CHECK(run(&p, &data) ==
			(ruled ? SECCOMP_RET_ERRNO | (uint32_t)(nr / 16 + 1) : OTHERS));
	}
}

/* Calls that are allowed, few or many. */
static const uint16_t filling[] = { 0, 1, 20, 90, 180, 300, 400 };

static void test_numbers_of_other_worlds_are_refused(void)
{
	static const uint16_t deadly[] = { 2 };
	static const struct bpf_rule rule = { 9, EPERM, { { 0, ARG_IS, 7 } } };

	for (size_t n = 1; n <= TEST_COUNT(filling); n += TEST_COUNT(filling) - 1) {
		const struct bpf_table t = { filling, n, deadly, 1, &rule, 1, OTHERS,
			NULL };

		CHECK(verdict(&t, &(struct seccomp_data){ .nr = 0, .arch = ARCH }) ==
			SECCOMP_RET_ALLOW);
		CHECK(verdict(&t, &(struct seccomp_data){ .nr = X32, .arch = ARCH }) ==
			OTHERS);
		CHECK(verdict(&t, &(struct seccomp_data){ .nr = 2, .arch = ARCH }) ==
			SECCOMP_RET_KILL_PROCESS);
		CHECK(verdict(&t, &(struct seccomp_data){
					  .nr = X32 | 2, .arch = ARCH }) == OTHERS);
		CHECK(verdict(&t, &(struct seccomp_data){ .nr = X32 | 9,
					  .arch = ARCH,
					  .args = { 7 } }) == OTHERS);
		CHECK(verdict(&t, &(struct seccomp_data){ .nr = -1, .arch = ARCH }) ==
			OTHERS);
		CHECK(verdict(&t, &(struct seccomp_data){ .nr = 9, .arch = ARCH }) ==
			REFUSED);
		CHECK(verdict(&t,
			      &(struct seccomp_data){ .nr = 1, .arch = OTHER_ARCH }) ==
			SECCOMP_RET_KILL_PROCESS);
	}
}

static void test_arguments_decide(void)
{
	static const struct bpf_rule rules[] = {
		{ 10, 0, { { 1, ARG_IS, 3 } } },
		{ 10, 0, { { 1, ARG_IS, 5 }, { 2, ARG_HAS_NO, 6 } } },
		{ 10, EPERM, { { 1, ARG_IS, 0 }, { 2, ARG_IS_NULL, 0 } } },
		{ 11, EPERM, { { 5, ARG_IS_OWN_PID, 0 } } },
		/* the same first check */
		{ 12, 0, { { 1, ARG_IS, 1 }, { 2, ARG_IS, 1 } } },
		{ 12, 0, { { 1, ARG_IS, 1 }, { 2, ARG_IS, 2 } } },
		{ 12, 0, { { 1, ARG_IS, 1 }, { 3, ARG_IS, 3 } } },
		{ 12, 0, { { 1, ARG_IS, 4 }, { 1, ARG_HAS_NO, 8 } } },
		{ 12, 0, { { 3, ARG_IS, 5 } } },
		{ 12, EPERM, { { 3, ARG_IS_NULL, 0 } } },
		{ 13, 0, { { 0, ARG_IS_NULL, 0 }, { 0, ARG_IS, 0 } } },
		{ 13, EPERM, { { 0, ARG_IS, 6 } } },
		{ 14, EPERM, { { 0, ARG_NEVER, 0 } } },
		{ 15, 0, { { 0, ARG_NEVER, 0 } } },
		{ 15, EPERM, { { 0, ARG_IS, 1 } } },
	};
	const uint64_t pid = (uint64_t)getpid(), high = 1ULL << 32;
	const struct {
		int nr;
		uint64_t args[6];
		bool allowed;
	} cases[] = {
		{ 10, { 0, 3 }, true },
		{ 10, { 3, 4 }, false },
		{ 10, { 0, 3 | high }, true }, /* the kernel sees 32 bits, and so do we */
		{ 10, { 0, 5, 1 }, true },
		{ 10, { 0, 5, 9 }, true },
		{ 10, { 0, 5, 2 }, false },
		{ 10, { 0, 5, 7 }, false },
		{ 10, { 0, 0, 0 }, true },
		{ 10, { 0, 0, 1 }, false },
		{ 10, { 0, 0, high }, false },
		{ 11, { 0, 0, 0, 0, 0, pid }, true },
		{ 11, { 0, 0, 0, 0, 0, pid + 1 }, false },
		{ 11, { pid }, false },
		{ 12, { 0, 1, 1, 9 }, true },
		{ 12, { 0, 1, 2, 9 }, true },
		{ 12, { 0, 1, 9, 3 }, true },
		{ 12, { 0, 1, 3, 9 }, false },
		{ 12, { 0, 2, 1, 9 }, false },
		{ 12, { 0, 2, 9, 3 }, false },
		{ 12, { 0, 4, 9, 9 }, true },
		{ 12, { 0, 1, 9, 5 }, true },
		{ 12, { 0, 9, 9, 5 }, true },
		{ 12, { 0, 1, 9, 0 }, true },
		{ 12, { 0, 9, 9, 0 }, true },
		{ 12, { 0, 9, 9, high }, false },
		{ 13, { 0 }, true },
		{ 13, { high }, false },
		{ 13, { 6 }, true },
		{ 13, { 6 | high }, true },
		{ 13, { 7 }, false },
		{ 14, { 0 }, false },
		{ 14, { 1, 1 }, false },
		{ 15, { 0 }, false },
		{ 15, { 1 }, true },
	};

	for (size_t i = 0; i < 2 * TEST_COUNT(cases); i++) {
		size_t at = i / 2;
		const struct bpf_table t = { filling, i % 2 ? TEST_COUNT(filling) : 0,
			NULL, 0, rules, TEST_COUNT(rules), OTHERS, NULL };
		struct seccomp_data data = { .nr = cases[at].nr, .arch = ARCH };
		uint32_t expected = cases[at].allowed ? SECCOMP_RET_ALLOW : REFUSED;

		memcpy(data.args, cases[at].args, sizeof(data.args));
		if (!CHECK(verdict(&t, &data) == expected))
			fprintf(stderr, "\tcase %zu\n", at);
	}
}

static void test_a_table_says_more_than_its_base(void)
{
	static const uint16_t allowed[] = { 1, 2 }, deadly[] = { 3, 4 },
			      also[] = { 4, 6 };
	static const uint16_t no_more[] = { 2 };
	static const struct bpf_rule base_rule = { 5, EPERM, { { 0, ARG_IS, 7 } } };
	static const struct bpf_rule rules[] = { { 3, EPERM, { { 0, ARG_IS, 8 } } },
		{ 5, EPERM, { { 0, ARG_IS, 9 } } } };
	const struct bpf_table base = { allowed, 2, deadly, 2, &base_rule, 1,
		SECCOMP_RET_ALLOW, NULL };
	const struct bpf_table t = { also, 2, no_more, 1, rules, 2, OTHERS, &base };
	const struct {
		int nr;
		uint64_t arg;
		uint32_t expected;
	} cases[] = {
		{ 0, 0, OTHERS },
		{ 1, 0, SECCOMP_RET_ALLOW },
		{ 2, 0, SECCOMP_RET_KILL_PROCESS },
		{ 3, 8, SECCOMP_RET_ALLOW },
		{ 3, 7, REFUSED },
		{ 4, 0, SECCOMP_RET_ALLOW },
		{ 5, 9, SECCOMP_RET_ALLOW },
		{ 5, 7, REFUSED },
		{ 6, 0, SECCOMP_RET_ALLOW },
		{ 7, 0, OTHERS },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const struct seccomp_data data = {
			.nr = cases[i].nr, .arch = ARCH, .args = { cases[i].arg }
		};
		CHECK(verdict(&t, &data) == cases[i].expected);
	}
}

static const struct test tests[] = {
	TEST(test_every_number_has_its_verdict),
	TEST(test_the_longest_program_is_right),
	TEST(test_numbers_of_other_worlds_are_refused),
	TEST(test_arguments_decide),
	TEST(test_a_table_says_more_than_its_base),
};

int main(void)
{
	return test_main(tests, TEST_COUNT(tests));
}
