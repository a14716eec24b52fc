/* SPDX-License-Identifier: ISC */
/* The whole program, as a super-server starts it. */
#include <unistd.h>
#include "process.h"

#define ARGUMENTS_MAX (2 * PROCESS_SETTINGS_MAX + 5)

/* An empty settings file: the machine may have one of its own. */
static int exec_program(const struct process *p, const struct surroundings *where)
{
	const char *arguments[ARGUMENTS_MAX] = { "postern", "-c", "/dev/null" };
	size_t n = 3;

	for (size_t i = 0; i < p->n_settings; i++) {
		arguments[n++] = "-o";
		arguments[n++] = p->settings[i];
	}
	if (p->lmtp)
		arguments[n++] = "--lmtp";
	execv(where->program, (char *const *)arguments);
	return 97;
}

bool program_play(
	const struct surroundings *where, const struct dialogue *d, struct complaint *ret)
{
	return process_play(where, d, exec_program, ret);
}
