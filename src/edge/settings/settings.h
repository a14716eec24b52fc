/* SPDX-License-Identifier: ISC */
/*
 * The settings of a process: one table of keys (config-keys.c), whose values come from a
 * file and from `-o key=value`; and the rules for clients, from a file of their own.
 */
#pragma once

#include <stdio.h>
#include "base/faults.h"
#include "edge/store/store.h"
#include "edge/tls/tls.h"
#include "proto/conf.h"
#include "smtp/settings.h"
#include "smtp/record-tables.h"

#define CLIENTS_FILE_MAX (1024 * 1024) /* octets */
#define CONFIG_FILE_DEFAULT SYSCONFDIR "/postern/postern.conf"
#define CONFIG_FILE_MAX (1024 * 1024) /* octets of a settings file */
#define CONFIG_KEYS_MAX 52
#define CONFIG_FAULT_MAX 512 /* one fault, as a line */

/*
 * The rules of the file `clients`: what holds for which clients (postern.conf(5)). Zero
 * is no rules at all.
 */
struct clients {
	/* the file: texts of the rules lie in it, and a priority ends in a NUL */
	char *text;
	struct rule *rules; /* the more specific before the less specific */
	size_t n_rules, cap_rules;
	bool may_use_tls; /* some rule turns it on */
	bool may_skip_filters; /* some rule has milters=off */
	bool may_refuse; /* some rule denies clients, or requires something of them */
};

/*
 * Reads the file. Each fault is reported as "file:line: what is wrong"; a network that
 * stands in two lines is one.
 */
void clients_read(struct clients *c, const char *path, struct faults *faults);
void clients_done(struct clients *c);

/* The rule of the most specific network that has the address, or NULL. */
const struct rule *clients_find(const struct clients *c, const struct ip *ip);

/*
 * Applies what a rule has about TLS and DSN (NULL: no rule) to the settings. Implicit TLS
 * stays, and in LMTP TLS stays as it is set: access to the socket decides there.
 */
void clients_apply(const struct rule *rule, struct session_settings *session,
	struct tls_settings *tls);

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
	const char *auth_users; /* NULL: there are no passwords */
	const char *auth_secret; /* set where auth_users is */
	const char *auth_certificates; /* NULL: the names in them are users */
	const char *auth_senders; /* NULL: a user may use any sender address */
	const char *mail_root; /* absolute, or as given */
	const char *maildir; /* relative to mail_root */
	/* in names of files; config_finish() puts the hostname here */
	const char *maildir_hostname;
	const char *recipients_file; /* NULL: each Maildir that exists is a mailbox */
	struct recipients recipients; /* its table is opened by the connection */
	const char *dsn_outbox; /* NULL: no reports */
	uint64_t timeout, session_timeout; /* seconds */
	uint64_t min_data_rate; /* octets a second of content; 0: no limit */
	/* of a listener: connections at once, of one source, its new ones in a minute */
	size_t connection_limit, source_connection_limit, source_connection_rate;
	/* of a listener: failures of one source, and seconds until all are forgotten */
	size_t source_failed_logins, source_refused_recipients, source_crashes;
	uint64_t source_failure_time;
	const char *log_file;
	enum log_choice log;
	enum record_level log_level; /* what is less is not logged */
	enum create_choice maildir_create;
	bool sandbox;
	bool tls_key_agent; /* of a listener: its private keys are in another process */
	bool trace_content; /* whole messages, too */
	bool unread; /* the file of settings could not be read */
	bool no_memory; /* there was none for some value, which has its default then */
	struct networks traced; /* clients whose sessions are traced */
	const char *trace_directory;
	const char *user; /* NULL: the user does not change */
	/* the path of the file of settings; NULL: none was read */
	const char *file;
	/* the path of a file of settings that need not be there, and is not */
	const char *missing;
	struct networks proxies; /* that must send a PROXY header */
	const char *milters; /* the file with the filters; NULL: none are set */
	const char *quarantine_mailbox; /* below mail_root; NULL: there is none */
	const char *clients_file; /* NULL: no rules */
	struct clients clients; /* read after the settings */

	/* of each row: the value as written (NULL: the default), and its place */
	const char *written[CONFIG_KEYS_MAX];
	const char *where[CONFIG_KEYS_MAX];
	const char *const *tls_certificates, *const *tls_keys; /* paths; NULL ends */
	struct config_memory *memory; /* owned: all texts and lists, freed at once */
	const char *own_domain[1]; /* where `domains` is not set */
	const char *credentials; /* $CREDENTIALS_DIRECTORY, or NULL */
	struct faults faults; /* "file:line: what is wrong" */
};

/* Every key at its default, but those of a listener. */
void config_init(struct config *c, const char *credentials,
	void (*report)(void *ctx, const char *fault), void *ctx);
void config_done(struct config *c);

/* The defaults of settings that only a listener uses, after all others were read. */
void config_complete(struct config *c);

/* Reads a settings file; its faults are counted. A missing one is a fault if `must`. */
void config_read(struct config *c, const char *path, bool must);

/* One "key=value" of the command line. */
void config_override(struct config *c, const char *pair);

/* What only all settings together decide; call it last. True when there was no fault. */
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

/* "file:line" of the setting, or "-o"; NULL where it is not set or does not exist. */
const char *config_place(const struct config *c, struct span key);

/* A fault, with "credential:NAME" for each path in the directory of credentials. */
void config_show(const struct config *c, const char *text, struct buf *to);

/* All keys and values in force, as a settings file. */
void config_print(const struct config *c, FILE *to);

/* Where the settings of a process come from. */
struct settings_source {
	const char *file; /* NULL: none */
	bool must_exist; /* the file: it was named on the command line */
	const char *const *overrides; /* "key=value", from the command line */
	size_t n_overrides;
	bool lmtp; /* RFC 2033 in place of SMTP */
	bool with_recipients; /* the table of recipients is opened, too */
};

/*
 * Loads file, overrides, rules for clients and the table of recipients, in this order,
 * into `c`, which config_init() has begun. Faults go to its report. True when there were
 * none.
 */
bool settings_load(struct config *c, const struct settings_source *from);
