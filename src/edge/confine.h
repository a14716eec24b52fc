/* The stage that closes the sandbox to its second degree, at the first MAIL inside TLS. */
#pragma once

#include "edge/sandbox.h"
#include "smtp/stage.h"

struct confine {
	struct stage stage;
	const struct sandbox_dirs *dirs;
	bool armed; /* set once TLS is up: all that the settings need is loaded */
};

void confine_init(struct confine *c, const struct sandbox_dirs *dirs);
