/* Promises that no mail over TLS is taken with executable memory to be had. */
#include "edge/confine.h"

static const struct reply *confine_mail(struct stage *st, const struct tx *tx)
{
	struct confine *c = (struct confine *)st;

	(void)tx;
	if (!c->armed)
		return NULL;
	c->armed = false;
	if (c->logins)
		logins_shut(c->logins);
	return sandbox_tighten(c->dirs) < 0 ? reply_get(REPLY_STORE_FAILED) : NULL;
}

static const struct stage_ops confine_ops = { .mail = confine_mail };

void confine_init(
	struct confine *c, const struct sandbox_dirs *dirs, struct logins *logins)
{
	*c = (struct confine){
		.stage.ops = &confine_ops,
		.dirs = dirs,
		.logins = logins,
	};
}
