/* The stage that closes the sandbox to its second degree, at the first MAIL inside TLS. */
#pragma once

#include "edge/log/log.h"
#include "edge/auth/auth.h"
#include "edge/sandbox/sandbox.h"
#include "smtp/tx.h"

struct confine {
	struct stage stage;
	const struct sandbox_dirs *dirs;
	/* not loaded: who logs in does so before that; NULL: nobody can */
	struct logins *logins;
	struct log *log; /* gets the cause when the stage cannot be entered */
	/* set once TLS is up: all that the settings need is loaded; until stage B has been entered */
	bool armed;
};

void confine_init(struct confine *c, const struct sandbox_dirs *dirs,
	struct logins *logins, struct log *log);
