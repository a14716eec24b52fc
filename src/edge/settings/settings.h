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
#define CONFIG_KEYS_MAX 55
#define CONFIG_FAULT_MAX 512 /* octets of a fault */

/*
 * The rules of the file `clients`: exceptions for clients by network (postern.conf(5)).
 * All zero: no rules.
 */
struct clients {
	/*
	 * the file, into which the texts of the rules point; a priority ends with a NUL
	 */
	char *text;
	struct rule *rules; /* more specific networks before less specific ones */
	size_t n_rules, cap_rules;
	bool may_use_tls; /* some rule turns it on */
	bool may_skip_filters; /* some rule has milters=off */
	bool may_refuse; /* some rule denies clients, or requires something of them */
};

/*
 * Reads the file. Each fault is reported as "FILE:LINE: FAULT". Two lines for one network
 * are a fault.
 */
void clients_read(struct clients *c, const char *path, struct faults *faults);
void clients_done(struct clients *c);

/* Returns the rule of the most specific network that has the address, or NULL. */
const struct rule *clients_find(const struct clients *c, const struct ip *ip);

/*
 * Applies the TLS and DSN options of a rule (NULL: no rule) to the settings. Implicit TLS
 * is not changed. In LMTP no TLS setting is changed, because access to the socket is the
 * permission there.
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

enum client_name {
	/* looked up where there are filters, unless the environment has it */
	CLIENT_NAME_AUTO,
	CLIENT_NAME_OFF,
};

struct config {
	struct session_settings session;
	struct tls_settings tls;
	const char *auth_users; /* NULL: there are no passwords */
	const char *auth_secret; /* set when auth_users is set */
	const char *auth_certificates; /* NULL: the names in certificates are users */
	const char *auth_senders; /* NULL: a user may use any sender address */
	const char *mail_root; /* absolute, or as given */
	const char *maildir; /* relative to mail_root */
	/* host name in file names; config_finish() sets it to the hostname by default */
	const char *maildir_hostname;
	const char *recipients_file; /* NULL: each existing Maildir is a mailbox */
	bool has_users; /* recipients = passwd: */
	struct users users;
	struct recipients recipients; /* its table is opened by the connection */
	const char *dsn_outbox; /* NULL: no reports */
	uint64_t timeout, session_timeout; /* seconds */
	uint64_t min_data_rate; /* octets of content per second; 0: no limit */
	/*
	 * listener: connections at once, of one source, new ones of one source per minute
	 */
	size_t connection_limit, source_connection_limit, source_connection_rate;
	/* listener: failures of one source, and seconds until all are forgotten */
	size_t source_failed_logins, source_refused_recipients, source_crashes;
	uint64_t source_failure_time;
	const char *log_file;
	enum log_choice log;
	enum record_level log_level; /* less important records are not written */
	enum create_choice maildir_create;
	bool sandbox;
	bool tls_key_agent; /* listener: a key agent has the private keys */
	bool trace_content; /* traces contain whole messages */
	bool unread; /* the settings file could not be read */
	bool no_memory; /* a value kept its default because memory was short */
	struct networks traced; /* clients whose sessions are traced */
	const char *trace_directory;
	const char *user; /* NULL: the user does not change */
	/* path of the settings file; NULL: none was read */
	const char *file;
	/* path of an optional settings file that does not exist; or NULL */
	const char *missing;
	enum client_name client_name;
	struct networks proxies; /* peers that must send a PROXY header */
	const char *milters; /* the file with the filters; NULL: none are set */
	const char *state_directory; /* no setting: STATE_DIRECTORY of systemd, or NULL */
	const char *quarantine_mailbox; /* path below mail_root; NULL: none */
	const char *clients_file; /* NULL: no rules */
	struct clients clients; /* read after the settings */

	/* for each row: the value as written (NULL: the default), and its place */
	const char *written[CONFIG_KEYS_MAX];
	const char *where[CONFIG_KEYS_MAX];
	/* paths; NULL ends the list */
	const char *const *tls_certificates, *const *tls_keys;
	/* owned: all texts and lists, which are freed at once */
	struct config_memory *memory;
	const char *own_domain[1]; /* the list of domains when `domains` is not set */
	const char *credentials; /* $CREDENTIALS_DIRECTORY, or NULL */
	struct faults faults; /* faults are reported as "FILE:LINE: FAULT" */
};

/* The fault of a process that can become no other user. */
#define USERS_NEED_ROOT                                                                  \
	"recipients " RECIPIENTS_USERS " needs root, because each user gets mail as "    \
	"himself: start postern as root, without the setting user; units of systemd "    \
	"need the drop-in system-users.conf"

/* Sets every key to its default, except those of a listener. */
void config_init(struct config *c, const char *credentials,
	void (*report)(void *ctx, const char *fault), void *ctx);
void config_done(struct config *c);

/*
 * Sets the defaults of settings that only a listener uses, after the settings were read.
 */
void config_complete(struct config *c);

/* Reads a settings file; faults are counted. A missing file is a fault if `must`. */
void config_read(struct config *c, const char *path, bool must);

/* Takes one "key=value" of the command line. */
void config_override(struct config *c, const char *pair);

/*
 * Checks the conditions between settings; called last. True: there was no fault at all.
 */
bool config_finish(struct config *c);

/* True when TLS is possible for at least some clients. */
static inline bool config_may_use_tls(const struct config *c)
{
	return c->session.tls != TLS_OFF || c->clients.may_use_tls;
}

/* True when mail-root itself is the only Maildir. */
static inline bool config_is_one_mailbox(const struct config *c)
{
	return strcmp(c->maildir, ".") == 0 && !c->recipients_file && !c->has_users;
}

/*
 * True where a recipient may get 530 from a client that has not logged in; called while
 * the table of recipients is open.
 */
bool config_asks_for_login(const struct config *c);

/* Why an address of another domain cannot be that of catch-all or postmaster. */
const char *config_forward_fault(const struct config *c);

/* True of a domain that is compared without the module for Unicode. */
bool config_is_plain(struct span domain);

/* Returns "FILE:LINE" of the setting, or "-o"; NULL: it is not set, or does not exist. */
const char *config_place(const struct config *c, struct span key);

/* True when the setting has a value that was refused. */
bool config_is_refused(const struct config *c, const char *key);

/*
 * Appends a fault with "credential:NAME" in place of each path in the directory of
 * credentials.
 */
void config_show(const struct config *c, const char *text, struct buf *to);

/* Writes all keys and their values as a settings file. */
void config_print(const struct config *c, FILE *to);

/* The sources of a process's settings. */
struct settings_source {
	const char *file; /* NULL: none */
	bool must_exist; /* a missing file is a fault: it was named on the command line */
	const char *const *overrides; /* "key=value", from the command line */
	size_t n_overrides;
	bool lmtp; /* RFC 2033 in place of SMTP */
	bool with_recipients; /* the table of recipients is opened as well */
	/* called with the path of the settings and of the rules before they are read */
	void (*before_reading)(void *ctx, const char *path); /* NULL: no call */
	void *ctx;
};

/*
 * Loads file, overrides, rules for clients and the table of recipients, in this order,
 * into `c`, after config_init(). Faults are reported to c->faults. True: there was no
 * fault.
 */
bool settings_load(struct config *c, const struct settings_source *from);
