/* SPDX-License-Identifier: ISC */
/*
 * Modules, certificates and keys that are loaded before there is a client: by a listener
 * once for all connections, or by a process for its one connection before the sandbox.
 * Files are watched for changes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "edge/settings/settings.h"
#include "edge/idn/idn.h"
#include "edge/keys/keys.h"
#include "edge/module.h"
#include "edge/auth/auth.h"

/*
 * Files that a process has opened by path, with the result of stat() then. Each process
 * watches the files that it opened itself: a process with other rights may see other
 * files.
 */
/*
 * settings, rules, ticket key, CA, recipients, milters, 4 of AUTH, pairs, tls.so; 4
 * places
 */
#define WATCH_MAX (2 * TLS_PAIR_MAX + 15)

struct watched_file {
	const char *path; /* borrowed */
	bool is_place; /* a directory or log: only its replacement counts as a change */
	int error; /* errno of stat(), or 0 */
	struct stat st;
};

struct watch {
	struct watched_file files[WATCH_MAX];
	size_t n;
};

/* Call it before opening, so that a change in between is noticed. Ignores a NULL path. */
void watch_add(struct watch *w, const char *path, bool is_place);

/* True when a file has changed, has appeared or has gone since watch_add(). */
bool watch_has_changed(const struct watch *w);

/*
 * Removes files that this process, after giving up rights, may not look at. Returns how
 * many: a process that kept the rights must watch them.
 */
size_t watch_drop_hidden(struct watch *w);

struct options;

struct preload {
	const struct options *options;
	const char *modules; /* directory of modules */
	const char *credentials_directory;
	void (*report)(void *ctx, const char *fault);
	void *ctx;
	bool needs_tls; /* some socket has TLS regardless of the settings */
	bool only_lmtp; /* TLS only by a rule for a client */
	/* of a listener: descriptors of its own have this number or a higher one; 0: the
	 * process serves one connection */
	int from;
	struct config *config; /* owned; as loaded last */
	const struct tls_api *api; /* NULL: not needed, or it cannot be loaded */
	const struct idn_api *names; /* NULL: it cannot be loaded */
	const struct sasl_api *sasl; /* NULL: not needed, or it cannot be loaded */
	bool sasl_failed; /* it cannot be loaded, which has been reported */
	bool no_memory; /* for loading a module */
	struct tls_credentials *credentials; /* NULL: none that can be used */
	struct keys_agents agents; /* that have the keys of the credentials; or none */
	struct keys *keys; /* owned; how the credentials reach them; NULL: no agents */
	struct config *lent; /* owned; the credentials borrow from it; may equal config */
	bool repeated; /* the same faults have been reported before */
	char fault[TLS_FAULT_TEXT]; /* first fault when credentials were loaded last */
	char tls_module[2 * MODULE_PATH_MAX]; /* its path: it may be installed later */
	struct watch watch; /* files that are read with the rights of this process */
};

/*
 * Loads settings, modules and credentials; `p` has its first eight members. Faults of
 * modules and credentials go to `report`; the credentials before stay in use. 0 or
 * -ENOMEM.
 */
int preload_load(struct preload *p);

/* True when a file has changed since it was read. */
bool preload_is_stale(const struct preload *p);

/*
 * True when something could not be loaded. A retry may succeed although no file has
 * changed: memory was short.
 */
bool preload_has_failed(const struct preload *p);

/* preload_load() after a failure; a fault already reported is not reported again. */
int preload_retry(struct preload *p);

/* Why only another process can load what is missing; NULL: this one can. */
const char *preload_stuck(const struct preload *p);

/* True when an agent has ended: connections have no private keys any more. */
bool preload_lacks_agents(const struct preload *p);

/* True when all modules that connections with these settings may need are loaded. */
bool preload_is_complete(const struct preload *p, const struct config *c);

/* True when a connection can use the credentials, but for the priority string. */
bool preload_fits(const struct preload *p, const struct tls_settings *settings);

/* True when the priority string is the same, too. */
bool preload_has_priority(const struct preload *p, const struct tls_settings *settings);

/* True when TLS cannot be used, for the reason in `fault`, which has been reported. */
bool preload_failed(const struct preload *p, const struct tls_settings *settings);

/* Why TLS does not work, although the settings want it; or NULL. */
const char *preload_tls_fault(const struct preload *p);
