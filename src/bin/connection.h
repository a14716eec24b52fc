/*
 * One connection: all that it needs, in one piece, and how it is put together. What no client has a part in
 * can be done before there is one, for all that are forked from the process.
 */
#pragma once

#include "bin/inherit.h"
#include "bin/options.h"
#include "bin/preload.h"
#include "edge/auth/auth.h"
#include "edge/idn/names.h"
#include "edge/log/log.h"
#include "edge/log/notify.h"
#include "edge/log/trace-file.h"
#include "edge/net/net.h"
#include "edge/sandbox/confine.h"
#include "edge/store/store.h"
#include "edge/module.h"
#include "smtp/policy.h"
#include "smtp/session.h"

#define CONNECTION_UNIQUE_MAX 24 /* "P" and a process number */

/*
 * Nothing of it is at file scope. All but the session is zeroed, and inherited and options are filled. What
 * each connection changes stands together, behind what it only reads: a process that was forked shares the rest.
 */
struct connection {
	struct inherited inherited;
	struct options options;
	struct config config;
	struct policy policy;
	struct idn_names names;
	struct logins *logins; /* NULL: nobody can log in */
	struct confine confine;
	struct stage *stages[4];
	size_t n_stages;
	struct sandbox_dirs dirs;
	char host[TX_FILE_MAX];
	char modules[MODULE_PATH_MAX];
	struct tls_opened opened[TLS_OPENED_MAX];
	int n_files; /* descriptors from there on do not reach the client's process; 0: all do */
	const struct preload *preload; /* NULL: this process serves one connection */
	struct preload
		*own_preload; /* NULL, or what this process loaded before the sandbox */
	int root;
	const char
		*confinement; /* for the record: what there is of a sandbox; NULL: all */
	bool unusable; /* the settings are: every client is told to come again */
	struct notify notify;
	struct outbox outbox;

	struct maildir maildir;
	struct log log;
	struct stream stream;
	struct trace_file *trace; /* NULL: this session is not traced */
	/* filled when TLS is first needed */
	const struct tls_api *tls_api;
	struct tls_credentials *credentials; /* NULL: TLS cannot be used */
	bool tls_tried;
	char tls_fault[TLS_FAULT_TEXT]; /* the first fault, for the record */
	char unique[CONNECTION_UNIQUE_MAX];
	struct session session; /* the last: it clears itself */
};

/* Reads all settings; faults go to `report`. False when there are any. */
bool connection_settings(
	struct connection *c, void (*report)(void *, const char *), void *ctx);

/* Reads settings and tables, and builds what mail goes through. `warm` is set. */
void connection_prepare(struct connection *c);

/*
 * Becomes the user of the settings, opens what only the first rights can, and lists in `dirs` what the
 * sandbox must leave it.
 */
void connection_open(struct connection *c);

/* Closes what was opened for it, in the process of a connection of another kind. Writes to no memory, to copy none. */
void connection_close_files(const struct connection *c);

/* Says one thing that keeps mail from being received (`error` is -errno), and passes it on. */
int connection_failed(
	struct connection *c, const char *what, const char *value, int error);

/* `what` and `value` where the sandbox cannot be entered. */
#define CONNECTION_SANDBOX "sandbox", SANDBOX_CURE

/* Enters the sandbox of a process that serves one connection. 0 or -errno, which has been recorded. */
int connection_confine(struct connection *c);

/* True where the sandbox is narrowed once more, when nothing more has to be loaded: by a stage (confine.h). */
static inline bool connection_is_confined_later(const struct connection *c)
{
	return c->config.sandbox && !c->dirs.loaded;
}

/* Gets the TLS module and credentials, once; the session records a fault. False when TLS cannot be used. */
bool connection_load_tls(struct connection *c);
