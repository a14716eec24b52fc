/* Promises that no mail over TLS is taken with executable memory to be had: without stage B the session ends. */
#include "edge/sandbox/confine.h"
#include <stdio.h>
#include <string.h>

/* A 421 from a stage ends the session: the client cannot go on and send mail outside stage B. */
static const struct reply *fail(const struct confine *c, int error)
{
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "sandbox " SANDBOX_CURE ": at MAIL inside TLS: %s",
		strerror(-error));
	log_error(c->log, text);
	return reply_get(REPLY_MISCONFIGURED);
}

static const struct reply *confine_mail(struct stage *st, const struct tx *tx)
{
	struct confine *c = (struct confine *)st;
	int r;

	(void)tx;
	if (!c->armed)
		return NULL;
	if (c->logins)
		logins_shut(c->logins);
	r = sandbox_tighten(c->dirs);
	if (r < 0)
		return fail(c, r);
	c->armed = false;
	return NULL;
}

static const struct stage_ops confine_ops = { .mail = confine_mail };

void confine_init(struct confine *c, const struct sandbox_dirs *dirs,
	struct logins *logins, struct log *log)
{
	*c = (struct confine){
		.stage.ops = &confine_ops,
		.dirs = dirs,
		.logins = logins,
		.log = log,
	};
}
