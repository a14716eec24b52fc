/* SPDX-License-Identifier: ISC */
/*
 * Modules, certificates and keys that are loaded before there is a client: once by a
 * listener for all connections, or by a process for its only connection before the
 * sandbox. Changes of files are detected.
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
 * Files that a process has opened by path, with the result of stat() at that time. Each
 * process watches the files that it opened itself, because a process with other rights
 * may get other files.
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

/*
 * Adds a file. Called before it is opened, so that a change in between is detected.
 * `path` may be NULL.
 */
void watch_add(struct watch *w, const char *path, bool is_place);

/* True when a file has changed, appeared or disappeared since watch_add(). */
bool watch_has_changed(const struct watch *w);

/*
 * Removes files that this process cannot examine after it gave up rights. Returns their
 * number: a process that kept the rights must watch them.
 */
size_t watch_drop_hidden(struct watch *w);

struct options;

/* The fault of tls-key = agent:PATH in a listener or a key agent. */
#define PRELOAD_OTHER_AGENT                                                              \
	"tls-key: " TLS_AGENT                                                            \
	" is for a process that serves one connection; a listener has "                  \
	"key agents of its own: name the files of the keys"

struct preload {
	const struct options *options;
	const char *modules; /* directory of modules */
	const char *credentials_directory;
	void (*report)(void *ctx, const char *fault);
	void *ctx;
	bool needs_tls; /* a socket has TLS regardless of the settings */
	/* this process only starts key agents and accepts channels for them */
	bool only_keys;
	bool only_lmtp; /* TLS only by a rule for a client */
	/*
	 * listener: first number of its own descriptors; 0: this is a process for one
	 * connection
	 */
	int from;
	struct config *config; /* owned; the settings that were loaded last */
	const struct tls_api *api; /* NULL: not needed, or it cannot be loaded */
	const struct idn_api *names; /* NULL: it cannot be loaded */
	const struct sasl_api *sasl; /* NULL: not needed, or it cannot be loaded */
	bool sasl_failed; /* it cannot be loaded, which has been reported */
	bool no_memory; /* memory for loading a module was short */
	struct tls_credentials *credentials; /* NULL: none are usable */
	struct keys_agents agents; /* agents with the keys of the credentials; or none */
	/* owned; access of the credentials to the agents; NULL: no agents */
	struct keys *keys;
	struct config *lent; /* owned; the credentials borrow from it; may equal config */
	bool repeated; /* the same faults have been reported before */
	char fault[TLS_FAULT_TEXT]; /* first fault when credentials were loaded last */
	/* one of these faults is a wrong PIN: nothing is loaded again without a change */
	bool pin_refused;
	char *pins[TLS_PAIR_MAX]; /* owned; paths of files with PINs, which are watched */
	size_t n_pins;
	/* path of the module, which may be installed later */
	char tls_module[2 * MODULE_PATH_MAX];
	struct watch watch; /* files that are read with the rights of this process */
};

/*
 * Loads settings, modules and credentials; the caller sets the first eight members of
 * `p`. Faults of modules and credentials are reported to `report`; previous credentials
 * then stay in use. 0 or -ENOMEM.
 */
int preload_load(struct preload *p);

/* True when a file has changed since it was read. */
bool preload_is_stale(const struct preload *p);

/*
 * True when loading failed because memory was short. A retry may succeed although no file
 * has changed.
 */
bool preload_has_failed(const struct preload *p);

/*
 * Loads again what has changed or failed. Faults that were reported are not reported
 * again unless a file has changed. 0 or -ENOMEM.
 */
int preload_refresh(struct preload *p);

/*
 * True after a token has refused a PIN: then only a change is a reason to load anything,
 * as a token counts wrong PINs and locks itself.
 */
bool preload_awaits_change(const struct preload *p);

/*
 * Returns the reason why only another process can load a missing module; NULL: this one
 * can.
 */
const char *preload_stuck(const struct preload *p);

/* True when an agent has ended, so that connections have no private keys. */
bool preload_lacks_agents(const struct preload *p);

/* True when all modules that connections with these settings may need are loaded. */
bool preload_is_complete(const struct preload *p, const struct config *c);

/*
 * True when only the listener and its agents read files of private keys: connections with
 * these settings never do.
 */
bool preload_keeps_keys(const struct preload *p, const struct config *c);

/*
 * True when a connection with these settings uses the credentials, except for the
 * priority string. Where the listener keeps the keys, also true of settings that are
 * newer than its own, until it has loaded them.
 */
bool preload_fits(const struct preload *p, const struct config *c);

/* True when the priority string is the same. */
bool preload_has_priority(const struct preload *p, const struct tls_settings *settings);

/* True when TLS cannot be used, for the reason in `fault`, which has been reported. */
bool preload_failed(const struct preload *p, const struct tls_settings *settings);

/* Returns the reason why TLS does not work although the settings require it; or NULL. */
const char *preload_tls_fault(const struct preload *p);
