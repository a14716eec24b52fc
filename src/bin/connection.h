/* One connection: all that it needs, in one piece, and how it is put together. */
#pragma once

#include "bin/inherit.h"
#include "bin/options.h"
#include "bin/serve.h"
#include "edge/maildir.h"
#include "edge/module.h"
#include "edge/outbox.h"
#include "smtp/policy.h"

#define CONNECTION_UNIQUE_MAX 24 /* "P" and a process number */

/* Nothing of it is at file scope. All but the session is zeroed, and inherited and options are filled. */
struct connection {
	struct inherited inherited;
	struct options options;
	struct config config;
	struct log log;
	struct stream stream;
	struct policy policy;
	struct idn_names names;
	struct logins *logins; /* NULL: nobody can log in */
	struct confine confine;
	struct maildir maildir;
	struct outbox outbox;
	struct stage *stages[4];
	struct sandbox_dirs dirs;
	struct notify notify;
	struct serve serve;
	char unique[CONNECTION_UNIQUE_MAX];
	char host[TX_FILE_MAX];
	char modules[MODULE_PATH_MAX];
	const struct warm *warm; /* NULL: we were started for this connection alone */
	int root;
	struct session session; /* the last: it clears itself */
};

/* Reads all settings; faults go to `report`. False when there are any. */
bool connection_settings(
	struct connection *c, void (*report)(void *, const char *), void *ctx);

/* Serves it to its end, or says why not. The exit status. */
int connection_serve(struct connection *c);
