/* Who may log in, for the engine (smtp/authenticator.h): by tables of users, and sasl.so. */
#pragma once

#include "edge/settings/settings.h"
#include "edge/log/log.h"
#include "edge/auth/sasl.h"
#include "edge/tls/tls.h"

#define LOGINS_LIST_MAX 96 /* all mechanisms by name */

struct logins_table {
	const char *key, *path; /* of the setting; NULL: it is not set */
	struct table *table;
	char fault[CONFIG_FAULT_MAX]; /* why there is none; empty: nothing is wrong */
};

struct logins {
	struct authenticator authenticator;
	const char *modules; /* their directory */
	struct log *log; /* hears what is wrong when somebody logs in, once */
	struct logins_table users, certificates, senders;
	struct span secret; /* owned */
	char list[LOGINS_LIST_MAX]; /* of mechanisms */
	unsigned char binding[TLS_BINDING_SIZE];
	char owner[AUTH_USER_MAX]; /* of the client's certificate, by the table */
	struct sasl_settings settings;
	const struct sasl_api *api;
	struct sasl *sasl; /* made when somebody logs in */
	char fault[CONFIG_FAULT_MAX]; /* why it cannot be */
	bool has_told_senders; /* what is wrong with that table, once */
	bool shut; /* no module can be loaded any more */
};

/*
 * Opens the tables, with the rights a process begins with, and lets the session of `c`
 * ask. What is wrong with them is kept until somebody logs in: mail of others does not
 * depend on it. `api` is the module that a listener has loaded, or NULL. NULL where nobody
 * may log in, or without memory.
 */
struct logins *logins_new(struct config *c, const struct sasl_api *api,
	const char *modules, struct log *log);
void logins_free(struct logins *l);

/* Closes what is open, in a process that uses these tables no more, and frees nothing. NULL is none. */
void logins_close_files(const struct logins *l);

/* TLS is up; the session outlives us. Only now mechanisms are offered. */
void logins_secured(struct logins *l, const struct tls_api *api, const struct tls *tls);

/* Loads the module, which the first AUTH would do otherwise. */
void logins_load(struct logins *l);

/* The module is known to be missing, and that has been reported: no attempt is made. */
void logins_missing(struct logins *l);

/* True when a table could not be opened: what needs it is refused for now. */
bool logins_lack_table(const struct logins *l);

/* True once that is done, whatever came of it. */
bool logins_tried(const struct logins *l);

/* From now on nothing can be loaded: who has not tried to log in by now is told to come again. */
void logins_shut(struct logins *l);
