/* SPDX-License-Identifier: ISC */
/*
 * The system call filters of an architecture that has none: nothing is entered, and the
 * sandbox is Landlock alone.
 */
#include "edge/sandbox/kernel.h"

bool seccomp_exists(void)
{
	return false;
}

int seccomp_enter(const struct seccomp_needs *needs)
{
	(void)needs;
	return 0;
}

int seccomp_enter_accepting(const struct seccomp_needs *needs)
{
	(void)needs;
	return 0;
}

int seccomp_enter_forked(void)
{
	return 0;
}

int seccomp_enter_connecting(void)
{
	return 0;
}

int seccomp_enter_signing(bool has_tokens)
{
	(void)has_tokens;
	return 0;
}

int seccomp_enter_broker(void)
{
	return 0;
}

int seccomp_tighten(void)
{
	return 0;
}
