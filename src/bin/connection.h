/* SPDX-License-Identifier: ISC */
/*
 * A connection: all state of one, and the functions that prepare it. A process that
 * serves one connection prepares it for itself; an acceptor prepares one for each kind of
 * socket, and each client gets a fork of it.
 */
#pragma once

#include "bin/inherit.h"
#include "bin/options.h"
#include "bin/preload.h"
#include "edge/auth/auth.h"
#include "edge/idn/idn.h"
#include "edge/log/log.h"
#include "edge/net/net.h"
#include "edge/sandbox/sandbox.h"
#include "edge/store/store.h"
#include "edge/module.h"
#include "smtp/policy.h"
#include "smtp/session.h"

#define CONNECTION_UNIQUE_MAX 24 /* "P" and a process number */

/*
 * All but the session begins zeroed, with `inherited` and `options` filled. Members that
 * a session changes stand together, behind those that it only reads: a forked process
 * shares the pages of the others.
 */
struct connection {
	struct inherited inherited;
	struct options options;
	struct config config;
	struct policy policy;
	struct idn_names names;
	struct backend *backend; /* NULL: no client can log in */
	struct confine confine;
	struct stage *stages[4];
	size_t n_stages;
	struct sandbox_dirs dirs;
	char modules[MODULE_PATH_MAX];
	int n_files; /* the forked process closes descriptors from this on; 0: none */
	const struct preload *preload; /* NULL: this process serves one connection */
	struct preload *own_preload; /* NULL, or loaded before the sandbox */
	int root;
	const char *confinement; /* for the record: the part in force; NULL: all */
	bool unusable; /* settings cannot be used: every client gets a 421 */
	struct notify notify;
	struct dsn_stage outbox;
	struct filters *filters; /* NULL: none are set */

	struct maildir maildir;
	struct log log;
	struct stream stream;
	struct trace_file *trace; /* NULL: this session is not traced */
	/* filled when TLS is first needed */
	const struct tls_api *tls_api;
	struct tls_credentials *credentials; /* NULL: TLS cannot be used */
	bool tls_tried;
	char tls_fault[TLS_FAULT_TEXT]; /* the first fault, for the record */

	/* main() clears nothing from here on: each of these is filled before it is read */
	struct session session;
	struct tls_opened opened[TLS_OPENED_MAX]; /* as many as the settings of TLS say */
	char host[TX_FILE_MAX];
	char unique[CONNECTION_UNIQUE_MAX];
};

/* Loads all settings; faults go to `report`. False when there are any. */
bool connection_settings(
	struct connection *c, void (*report)(void *, const char *), void *ctx);

/* Loads settings and tables, and sets up the stages. `preload` is set or NULL. */
void connection_prepare(struct connection *c);

/*
 * Becomes the user of the settings, opens what lies outside the sandbox, and lists in
 * `dirs` what must stay accessible inside.
 */
void connection_open(struct connection *c);

/*
 * Closes its descriptors, in the process of a connection of another kind. It writes to no
 * memory, so no page is copied.
 */
void connection_close_files(const struct connection *c);

/* Records a fault that prevents receiving mail; returns `error`, which is -errno. */
int connection_failed(
	struct connection *c, const char *what, const char *value, int error);

/* `what` and `value` where the sandbox cannot be entered. */
#define CONNECTION_SANDBOX "sandbox", SANDBOX_CURE

/* Enters the sandbox for one connection. 0 or -errno, which has been recorded. */
int connection_confine(struct connection *c);

/*
 * True where the sandbox is narrowed once more, when nothing more has to be loaded: by a
 * stage (confine.h).
 */
static inline bool connection_is_confined_later(const struct connection *c)
{
	return c->config.sandbox && !c->dirs.loaded;
}

/* Closes the channel to the key agent: after the handshake nothing has to be signed. */
void connection_close_keys(struct connection *c);

/*
 * Gets the TLS module and credentials, once; the session records a fault. False when TLS
 * cannot be used.
 */
bool connection_load_tls(struct connection *c);
