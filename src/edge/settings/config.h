/* The settings: one table of keys in config.c, read from a file and from `-o key=value`. */
#pragma once

#include <stdio.h>
#include "edge/settings/clients.h"
#include "edge/store/store.h"
#include "edge/tls/tls.h"
#include "smtp/settings.h"
#include "smtp/record-tables.h"

#define CONFIG_FILE_DEFAULT SYSCONFDIR "/postern/postern.conf"
#define CONFIG_FILE_MAX (1024 * 1024) /* octets of a settings file */
#define CONFIG_KEYS_MAX 48
#define CONFIG_FAULT_MAX 512 /* one fault, as a line */

enum log_choice {
	LOG_AUTO,
	LOG_STDERR,
	LOG_SYSLOG_LINES,
	LOG_JOURNAL,
	LOG_JSON, /* JSON Lines, into log_file */
};

struct config {
	struct session_settings session;
	struct tls_settings tls;
	const char *auth_users; /* NULL: nobody has a password */
	const char *auth_secret; /* set where auth_users is */
	const char *auth_certificates; /* NULL: their names are users */
	const char *auth_senders; /* NULL: who has logged in may be anybody */
	const char *mail_root; /* absolute, or as given */
	const char *maildir; /* relative to mail_root */
	const char *
		maildir_hostname; /* in names of files; config_finish() puts the hostname here */
	enum create_choice maildir_create;
	const char *recipients_file; /* NULL: whose Maildir exists has a mailbox */
	struct recipients recipients; /* its table is opened by bin/admit */
	const char *dsn_outbox; /* NULL: no reports */
	uint64_t timeout, session_timeout; /* seconds */
	/* of a listener: connections at once, of one source, and its new ones in a minute */
	size_t connection_limit, source_connection_limit, source_connection_rate;
	enum log_choice log;
	const char *log_file;
	enum record_level log_level; /* what is less is not told */
	struct networks traced; /* clients whose sessions are written down */
	const char *trace_directory;
	bool trace_content; /* whole messages, too */
	const char *user; /* NULL: stay who we are */
	bool sandbox;
	bool unread; /* the file of settings could not be read */
	const char *
		missing; /* the path of a file of settings that need not be there, and is not */
	struct networks proxies; /* that must send a PROXY header */
	const char *clients_file; /* NULL: no rules */
	struct clients clients; /* read by bin/admit, not with the settings */

	/* Owned, a row of the table each: the value as written (NULL: the default), what a
	 * row needs beside it, and where it stands. */
	char *written[CONFIG_KEYS_MAX];
	char *more[CONFIG_KEYS_MAX];
	char *where[CONFIG_KEYS_MAX];
	char *root_owned, *maildir_owned;
	const char *own_domain[1]; /* where `domains` is not set */
	const char *credentials; /* $CREDENTIALS_DIRECTORY, or NULL */
	size_t n_faults;
	void (*report)(void *ctx, const char *fault); /* "file:line: what is wrong" */
	void *ctx;
};

/* Every key at its default. */
void config_init(struct config *c, const char *credentials,
	void (*report)(void *ctx, const char *fault), void *ctx);
void config_done(struct config *c);

/* Reads a settings file; its faults are reported and counted. A missing one is a fault if
 * `must`. */
void config_read(struct config *c, const char *path, bool must);

/* One "key=value" of the command line. */
void config_override(struct config *c, const char *pair);

/* What only all settings together can tell; call it last. True when there was no fault at
 * all. */
bool config_finish(struct config *c);

/* For some client at least. */
static inline bool config_may_use_tls(const struct config *c)
{
	return c->session.tls != TLS_OFF || c->clients.may_use_tls;
}

/* True where mail-root is a Maildir itself, and the only one. */
static inline bool config_is_one_mailbox(const struct config *c)
{
	return strcmp(c->maildir, ".") == 0 && !c->recipients_file;
}

/* "file:line" of the setting, or "-o"; NULL where it is not set, or there is none of that name. */
const char *config_place(const struct config *c, struct span key);

/* A fault as settings name its file: "credential:NAME" for a path in the directory of credentials. */
void config_show(const struct config *c, const char *text, struct buf *to);

/* All keys and values in force, as a settings file. */
void config_print(const struct config *c, FILE *to);
