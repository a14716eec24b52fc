/*
 * Logins: the tables of users, for the engine (smtp/authenticator.h), and the module
 * sasl.so, which does the exchanges. libgsasl is loaded with the module, when a client
 * logs in.
 */
#pragma once

#include "edge/log/log.h"
#include "edge/settings/settings.h"
#include "edge/table/table.h"
#include "edge/tls/tls.h"
#include "proto/verifier.h"
#include "smtp/authenticator.h"

#define SASL_MODULE "sasl.so"
#define SASL_MODULE_TABLE "postern_sasl"

#define SASL_PLAIN "PLAIN"
#define SASL_LOGIN "LOGIN"
#define SASL_SCRAM "SCRAM-SHA-256"
#define SASL_SCRAM_PLUS "SCRAM-SHA-256-PLUS"
#define SASL_EXTERNAL "EXTERNAL"

#define SASL_NAMES_MAX 8 /* of one certificate */

/* What the module needs for one connection. All of it outlives what is opened with it. */
struct sasl_settings {
	void *ctx;
	/* As table_find() of the table of users. */
	enum table_found (*find)(void *ctx, struct span user, struct buf *ret_value);
	/* Reports a fault to the administrator; a sentence a call. */
	void (*fault)(void *ctx, const char *text);
	struct decoys decoys;
	struct span secret; /* makes the salts of users that do not exist */
	struct span binding; /* of the channel, tls-exporter; empty: there is none */
	/*
	 * users that the client's certificate stands for: the first, unless the client
	 * names one
	 */
	const char *names[SASL_NAMES_MAX];
	size_t n_names;
};

struct sasl;

/* The module's table: the mechanisms of AUTH for one connection. */
struct sasl_api {
	/* NULL without memory. */
	struct sasl *(*open)(const struct sasl_settings *settings);
	void (*close)(struct sasl *sasl);

	/* As struct authenticator has them. The mechanism is one of the above. */
	enum auth_result (*begin)(struct sasl *sasl, struct span mechanism);
	enum auth_result (*step)(struct sasl *sasl, const struct span *response,
		struct buf *ret_challenge);
	const char *(*user)(const struct sasl *sasl);
	void (*end)(struct sasl *sasl);
};

#define LOGINS_LIST_MAX 96 /* all mechanisms by name */

struct logins_table {
	const char *key, *path; /* of the setting; NULL: it is not set */
	struct table *table;
	char fault[CONFIG_FAULT_MAX]; /* why there is none; empty: nothing is wrong */
};

/* The program's side: what decides whether a client may log in, and as which user. */
struct logins {
	struct authenticator authenticator;
	const char *modules; /* their directory */
	struct log *log; /* gets each fault once, when a client logs in */
	struct logins_table users, certificates, senders;
	struct span secret; /* owned */
	char list[LOGINS_LIST_MAX]; /* of mechanisms */
	unsigned char binding[TLS_BINDING_SIZE];
	char owner[AUTH_USER_MAX]; /* of the client's certificate, by the table */
	struct sasl_settings settings;
	const struct sasl_api *api;
	struct sasl *sasl; /* made when a client logs in */
	char fault[CONFIG_FAULT_MAX]; /* why it cannot be made */
	bool has_told_senders; /* the fault of that table was logged */
	bool shut; /* no module can be loaded any more */
};

/*
 * Opens the tables, with the rights a process begins with, and makes them the
 * authenticator of the session of `c`. What is wrong with them is kept until a client
 * logs in: mail without a login does not depend on it. `api` is the module that a
 * listener has loaded, or NULL. NULL where logins are off, or without memory.
 */
struct logins *logins_new(struct config *c, const struct sasl_api *api,
	const char *modules, struct log *log);
void logins_free(struct logins *l);

/*
 * Closes what is open, in a process that uses these tables no more, and frees nothing.
 * NULL is none.
 */
void logins_close_files(const struct logins *l);

/* TLS is up; the session outlives us. Mechanisms are offered from now on. */
void logins_secured(struct logins *l, const struct tls_api *api, const struct tls *tls);

/* Loads the module, which the first AUTH would do otherwise. */
void logins_load(struct logins *l);

/* The module is known to be missing, and that has been reported: no attempt is made. */
void logins_missing(struct logins *l);

/* True when a table could not be opened: what needs it is refused for now. */
bool logins_lack_table(const struct logins *l);

/* True once the module is loaded, or was found missing. */
bool logins_tried(const struct logins *l);

/* From now on nothing can be loaded: a first login after this is refused for now. */
void logins_shut(struct logins *l);

#define SECRET_LEAST 32 /* octets: as many as SHA-256 has */
#define SECRET_MOST 4096

/*
 * Reads a file of random octets that must be secret; *ret is owned by the caller. 0, or
 * -EINVAL and a sentence: what is wrong and what to do.
 */
int secret_read(const char *path, struct span *ret, struct buf *ret_fault);
