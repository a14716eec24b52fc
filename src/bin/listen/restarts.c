/* SPDX-License-Identifier: ISC */
/* How soon something that has been started again may be started again. */
#include "bin/listen/listener.h"

static bool is_quiet(
	const struct restarts *r, const struct restart_terms *terms, uint64_t now)
{
	return r->last == 0 || now - r->last >= terms->quiet;
}

uint64_t restart_wait(
	const struct restarts *r, const struct restart_terms *terms, uint64_t now)
{
	if (is_quiet(r, terms, now) || now - r->last >= r->interval)
		return 0;
	return r->last + r->interval - now;
}

void restart_note(struct restarts *r, const struct restart_terms *terms, uint64_t now)
{
	if (is_quiet(r, terms, now))
		*r = (struct restarts){ 0 };
	r->last = now;
	if (++r->n <= terms->n_free)
		return;
	r->interval = r->interval ? 2 * r->interval : terms->least;
	if (r->interval > terms->most)
		r->interval = terms->most;
}
