/* SPDX-License-Identifier: ISC */
/*
 * Logins: the tables of users, for the engine (smtp/authenticator.h), and the module
 * sasl.so with the mechanisms. Module and libgsasl are loaded only when a client logs in.
 */
#pragma once

#include "edge/log/log.h"
#include "edge/module.h"
#include "edge/settings/settings.h"
#include "edge/table/table.h"
#include "edge/tls/tls.h"
#include "proto/verifier.h"
#include "smtp/authenticator.h"

#define SASL_MODULE "sasl.so"
#define SASL_MODULE_TABLE MODULE_TABLE("postern_sasl")

#define SASL_PLAIN "PLAIN"
#define SASL_LOGIN "LOGIN"
#define SASL_SCRAM "SCRAM-SHA-256"
#define SASL_SCRAM_PLUS "SCRAM-SHA-256-PLUS"
#define SASL_EXTERNAL "EXTERNAL"

#define SASL_NAMES_MAX 8 /* users of one certificate */

/*
 * The input of the module for one connection. It must outlive the handles opened with it.
 */
struct sasl_settings {
	void *ctx;
	/* Finds a user, as table_find() in the table of users. */
	enum table_found (*find)(void *ctx, struct span user, struct buf *ret_value);
	/* Reports a fault to the administrator, one sentence per call. */
	void (*fault)(void *ctx, const char *text);
	struct decoys decoys;
	struct span secret; /* key that makes the salts of nonexistent users */
	struct span binding; /* channel binding, tls-exporter; empty: none */
	/*
	 * users of the client's certificate; the first one, unless the client chooses
	 * another
	 */
	const char *names[SASL_NAMES_MAX];
	size_t n_names;
};

struct sasl;

/* The module's table: the mechanisms of AUTH for one connection. */
struct sasl_api {
	/* Opens a handle; NULL: out of memory. */
	struct sasl *(*open)(const struct sasl_settings *settings);
	void (*close)(struct sasl *sasl);

	/* As in struct authenticator. The mechanism is one of the module's mechanisms. */
	enum auth_result (*begin)(struct sasl *sasl, struct span mechanism);
	enum auth_result (*step)(struct sasl *sasl, const struct span *response,
		struct buf *ret_challenge);
	const char *(*user)(const struct sasl *sasl);
	void (*end)(struct sasl *sasl);

	/*
	 * Appends the form in which a user's name is looked up (SASLprep, RFC 4013).
	 * False: no user can have the name.
	 */
	bool (*form)(struct span name, struct buf *to);
};

/* The table in the module. */
extern const struct sasl_api postern_sasl __asm__(SASL_MODULE_TABLE);

#define BACKEND_LIST_MAX 96 /* the names of all mechanisms */

struct backend_table {
	const char *key, *path; /* key and path of the setting; NULL: not set */
	struct table *table;
	char fault[CONFIG_FAULT_MAX]; /* the reason why it is not open; empty: no fault */
};

/* The program's side: decides whether a client may log in, and as which user. */
struct backend {
	struct authenticator authenticator;
	const char *modules; /* directory of the modules */
	struct log *log; /* receives each fault once, when a client logs in */
	struct backend_table users, certificates, senders;
	struct span secret; /* owned */
	char list[BACKEND_LIST_MAX]; /* list of the mechanisms */
	unsigned char binding[TLS_BINDING_SIZE];
	char owner[AUTH_USER_MAX]; /* user of the certificate by the table; or empty */
	struct sasl_settings settings;
	const struct sasl_api *api;
	struct sasl *sasl; /* opened when a client logs in */
	/* reason why the module cannot be loaded; or empty */
	char fault[CONFIG_FAULT_MAX];
	bool has_logged_senders; /* the fault of the table of senders was logged */
	bool shut; /* modules can no longer be loaded */
};

/*
 * Opens the tables, with the initial privileges, and sets the authenticator of the
 * session in `c`. Faults are kept until a client logs in, because mail without a login
 * does not depend on the tables. `api` is the module that a listener has loaded, or NULL.
 * Returns NULL when logins are off or memory is short.
 */
struct backend *backend_new(struct config *c, const struct sasl_api *api,
	const char *modules, struct log *log);
void backend_free(struct backend *l);

/*
 * Closes the files in a process that no longer uses them, and frees nothing. `l` may be
 * NULL.
 */
void backend_close_files(const struct backend *l);

/* Starts to offer mechanisms, after the handshake. `tls` must outlive `l`. */
void backend_secured(struct backend *l, const struct tls_api *api, const struct tls *tls);

/* Loads the module before the first AUTH needs it. */
void backend_load(struct backend *l);

/* Marks the module as missing, and its fault as reported. It is then never loaded. */
void backend_missing(struct backend *l);

/* True when a table could not be opened: logins that need it get a temporary refusal. */
bool backend_lacks_table(const struct backend *l);

/* True when the module has been loaded, or could not be loaded. */
bool backend_tried(const struct backend *l);

/* Forbids loading of the module: a first login after this gets a temporary refusal. */
void backend_shut(struct backend *l);

#define SECRET_LEAST 32 /* octets, the size of SHA-256 */
#define SECRET_MOST 4096

/*
 * Reads a secret file of random octets; the caller owns *ret. 0, or -EINVAL and a
 * sentence with fault and cure.
 */
int secret_read(const char *path, struct span *ret, struct buf *ret_fault);
