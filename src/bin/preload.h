/*
 * What a listener gets ready once for all its connections: modules, certificates and keys; and how it knows
 * that settings, tables or places are others now.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "edge/settings/settings.h"
#include "edge/idn/idn.h"
#include "edge/module.h"
#include "edge/auth/auth.h"

/*
 * Files that a process has opened by path, as they were then, and whether one of them has changed. Each process
 * watches what it opened itself, with its own rights: a process with other rights cannot decide that.
 */
/* Settings, rules, ticket key, authorities, recipients, four of log-ins, certificates, keys, tls.so; four places. */
#define WATCH_MAX (2 * TLS_PAIR_MAX + 14)

struct watched_file {
	const char *path; /* borrowed */
	bool is_place; /* a directory or a log: another one in its place counts, its content does not */
	int error; /* errno of stat(), or 0 */
	struct stat st;
};

struct watch {
	struct watched_file files[WATCH_MAX];
	size_t n;
};

/* To be called before the file is opened: a change in between is then a change. NULL is no file. */
void watch_add(struct watch *w, const char *path, bool is_place);

/* True when a file has changed, has appeared or has gone since watch_add(). */
bool watch_has_changed(const struct watch *w);

/*
 * Takes the files away that this process has no right to look at, after it has given up rights. How many: a
 * process that kept the rights must watch them.
 */
size_t watch_drop_hidden(struct watch *w);

struct options;

struct preload {
	const struct options *options;
	const char *modules; /* their directory */
	const char *credentials_directory;
	void (*report)(void *ctx, const char *fault);
	void *ctx;
	bool needs_tls; /* some socket has TLS whatever the settings say */
	bool only_lmtp; /* no socket has TLS but by a rule for a client */
	struct config *config; /* owned: as it was read last */
	const struct tls_api *api; /* NULL: nobody needs TLS, or it cannot be had */
	const struct idn_api *names; /* NULL: it cannot be had */
	const struct sasl_api *sasl; /* NULL: nobody logs in, or it cannot be had */
	bool sasl_failed; /* it cannot be had, and that has been reported */
	struct tls_credentials *credentials; /* NULL: none that can be used */
	struct config *lent; /* owned: what they borrow from; may be the other one */
	bool repeated; /* the same faults have been reported before */
	char fault[TLS_FAULT_TEXT]; /* the first thing wrong when they were last read */
	char tls_module[2 * MODULE_PATH_MAX]; /* its path: it may be installed later */
	struct watch
		watch; /* files that the listener or its acceptors read with its rights */
};

/*
 * Reads settings and credentials; `p` has its first seven members. Faults of credentials go to `report`.
 * Credentials that have become unusable are told of, and the old ones kept. 0 or -ENOMEM.
 */
int preload_load(struct preload *p);

/* True when a file has changed since it was read. */
bool preload_is_stale(const struct preload *p);

/* True when something could not be loaded. It may be possible now, though no file shows it: memory was short. */
bool preload_has_failed(const struct preload *p);

/* preload_load() after a failure: reports a fault only where it is another one. */
int preload_retry(struct preload *p);

/* True when TLS cannot be loaded in this process, but in another one. */
bool preload_is_stuck(const struct preload *p);

/* True when all modules that connections with these settings may need are loaded. */
bool preload_is_complete(const struct preload *p, const struct config *c);

/* True when a connection with these settings can use what is ready, but for its priority string. */
bool preload_fits(const struct preload *p, const struct tls_settings *settings);

/* True when that fits, too. */
bool preload_has_priority(const struct preload *p, const struct tls_settings *settings);

/* True when TLS cannot be used with these settings, for the reason that is in `fault` and has been reported. */
bool preload_failed(const struct preload *p, const struct tls_settings *settings);

/* Why TLS does not work, although the settings want it; or NULL. */
const char *preload_tls_fault(const struct preload *p);
