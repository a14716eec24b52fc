/* SPDX-License-Identifier: ISC */
/*
 * A connection: its state, and the functions that prepare it. A process for one
 * connection prepares its own; an acceptor prepares one for each kind of socket, and
 * forks it for each client.
 */
#pragma once

#include "bin/failures.h"
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

#define CONNECTION_UNIQUE_MAX 24 /* octets of "P" and a process number */

/* The rate at which the content of a message arrives. */
struct pace {
	/* since the message began: octets, and milliseconds of waiting */
	uint64_t octets, waited;
	uint64_t got; /* octets that were read but are not counted yet */
	size_t transaction; /* the number of that message in the session */
};

/*
 * The caller clears all members before `session` and fills `inherited` and `options`.
 * Members that a session changes stand together, after those that it only reads, so that
 * a forked process shares the pages of the latter.
 */
struct connection {
	struct inherited inherited;
	struct options options;
	struct config config;
	struct policy policy;
	struct idn_names names;
	struct backend *backend; /* NULL: clients cannot log in */
	struct confine confine;
	struct stage *stages[4];
	size_t n_stages;
	struct sandbox_dirs dirs;
	char modules[MODULE_PATH_MAX];
	/* the forked process closes descriptors from this number on; 0: none */
	int n_files;
	const struct preload *preload; /* NULL: this is a process for one connection */
	int root;
	/* for the record: active parts of the sandbox; NULL: all */
	const char *confinement;
	bool unusable; /* the connection is unusable: its client gets 421 */
	struct notify notify;
	struct dsn_stage outbox;
	struct filters *filters; /* NULL: none are set, or they cannot be used */
	/* they cannot be used: only clients are served for which milters=off is set */
	bool lacks_filters;
	bool spares; /* lines of the table of recipients may have milters=off */
	bool asks_for_login; /* some recipients get 530 without one, and others do not */
	bool has_places; /* mail-root and the outbox have been opened */

	struct maildir maildir;
	struct brokered brokered; /* in its place, with dirs.owners */
	struct broker_link broker;
	struct log log;
	struct stream stream;
	struct trace_file *trace; /* NULL: this session is not traced */
	/* these two are set when TLS is first needed */
	const struct tls_api *tls_api;
	struct tls_credentials *credentials; /* NULL: TLS cannot be used */
	bool tls_tried;
	char tls_fault[TLS_FAULT_TEXT]; /* the first fault, for the record */
	struct keys agent; /* the agent of tls-key, with its channel */
	struct pace pace;
	struct failure_link failures; /* reports failures to the acceptor of a listener */

	/* main() does not clear these members; each is set before it is read */
	struct session session;
	struct tls_opened opened[TLS_OPENED_MAX]; /* tls.n_opened of them are set */
	char host[TX_FILE_MAX];
	char unique[CONNECTION_UNIQUE_MAX];
};

/* Loads all settings; faults go to `report`. False when there are any. */
bool connection_settings(
	struct connection *c, void (*report)(void *, const char *), void *ctx);

/* Loads settings and tables, and sets up the stages. `preload` is set or NULL. */
void connection_prepare(struct connection *c);

/*
 * Becomes the user of the settings, opens files outside of the sandbox, and lists in
 * `dirs` the directories that must stay accessible.
 */
void connection_open(struct connection *c);

/* Opens mail-root and the outbox, once. 0, or -errno, which has been recorded. */
int connection_open_places(struct connection *c);

/* Closes them, when the broker has them. */
void connection_close_places(struct connection *c);

/*
 * Starts the broker, which takes over the places. `serves_one`: *ret_ours is a channel,
 * else a control for broker_open(). 0, or -errno, which has been recorded.
 */
int connection_start_broker(struct connection *c, bool serves_one, struct hangs *hangs,
	int place, int *ret_ours);

/*
 * Closes its descriptors, in the process of a connection of another kind. Does not write
 * to memory, so that no page is copied.
 */
void connection_close_files(const struct connection *c);

/* Records a fault that prevents receiving mail; returns `error`, which is -errno. */
int connection_failed(
	struct connection *c, const char *what, const char *value, int error);

/* `what` and `value` of connection_failed() when the sandbox cannot be entered. */
#define CONNECTION_SANDBOX "sandbox", SANDBOX_CURE

/* Enters the sandbox for one connection. 0 or -errno, which has been recorded. */
int connection_confine(struct connection *c);

/*
 * True when a stage of mail narrows the sandbox later, when nothing more has to be loaded
 * (edge/sandbox).
 */
static inline bool connection_is_confined_later(const struct connection *c)
{
	return c->config.sandbox && !c->dirs.loaded;
}

/* Waits for the broker and the key agent end soon after a stop signal. */
void connection_heed_signals(struct connection *c);

/*
 * Closes the channel to the key agent, because after the handshake no signature is
 * needed.
 */
void connection_close_keys(struct connection *c);

/*
 * Loads the TLS module and the credentials, once. False when TLS cannot be used; the
 * session then records the fault.
 */
bool connection_load_tls(struct connection *c);
