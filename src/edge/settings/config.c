/* SPDX-License-Identifier: ISC */
/*
 * Reads the settings: the file, options that override it, and finally the conditions that
 * several settings decide together. A fault contains its place, what is wrong, and a
 * valid value. The files that settings name are not opened here.
 */
#include "edge/settings/settings.h"
#include <errno.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "edge/settings/config-keys.h"
#include "edge/file.h"
#include "edge/table/table.h"
#include "proto/conf.h"
#include "proto/destination.h"
#include "proto/text.h"
#include "smtp/policy.h"

static void fault(struct config *c, const char *where, const char *key, const char *what)
{
	faults_put(&c->faults, "%s: %s%s%s", where, key, *key ? ": " : "", what);
}

/* Where users of the system have their mail. */
#define USERS_ROOT "/home"
#define USERS_MAILDIR "Maildir"

static size_t find_key(struct span name)
{
	return words_find(&config_names, name);
}

/* Reports "no such setting; did you mean tls-key? See postern.conf(5)". */
static void fault_of_key(struct config *c, const char *where, const char *name)
{
	char text[CONFIG_FAULT_MAX], meant[CONF_MEANT_MAX];

	conf_put_meant(meant, span_of(name), &config_names);
	snprintf(text, sizeof(text), "no such setting%s%s see postern.conf(5)", meant,
		*meant ? "" : ";");
	fault(c, where, name, text);
}

/*
 * True for a path that a shell would expand. In a banner, and as the delimiter, ~ is an
 * ordinary character.
 */
static bool has_home(const struct config_key *key, struct span value)
{
	if (strcmp(key->name, "banner") == 0 || value.n < 2)
		return false;
	return *value.p == '~' || span_starts(value, SPAN("json:~"));
}

/* Sets the value of a row. Returns NULL, or the fault; the row then keeps its default. */
static const char *assign(struct config *c, size_t row, struct span value)
{
	const struct config_key *key = &config_keys[row];
	const char *written = config_copy(c, value);
	const char *wrong = "out of memory";

	if (written && strlen(written) != value.n)
		wrong = "has a NUL in it";
	else if (written && has_home(key, value))
		wrong = "has ~, which no shell expands here: write the whole path";
	else if (written)
		wrong = key->parse(c, key, written);
	if (wrong)
		key->parse(c, key, config_default(key));
	c->written[row] = wrong ? NULL : written;
	return wrong;
}

const char *config_default(const struct config_key *key)
{
	if (key->value)
		return key->value;
	return key->words ? words_get(key->words, 0) : "";
}

/*
 * COST: 1 % of a plain session's instructions (callgrind): zeros are not parsed; without
 * it: each default is.
 */
static void set_default(struct config *c, const struct config_key *key)
{
	if (key->value)
		key->parse(c, key, key->value);
}

void config_init(struct config *c, const char *credentials,
	void (*report)(void *ctx, const char *fault), void *ctx)
{
	*c = (struct config){ .credentials = credentials,
		.faults = { .report = report, .ctx = ctx } };
	for (size_t i = 0; i < config_names.n - CONFIG_KEYS_OF_LISTENER; i++)
		set_default(c, &config_keys[i]);
}

/*
 * COST: 1 % of a plain session's instructions (callgrind): a process that serves one
 * connection does not parse these defaults; without it: config_init() does.
 */
void config_complete(struct config *c)
{
	for (size_t i = config_names.n - CONFIG_KEYS_OF_LISTENER; i < config_names.n; i++)
		if (!c->written[i])
			set_default(c, &config_keys[i]);
}

void config_done(struct config *c)
{
	config_free(c);
	clients_done(&c->clients);
	table_close(c->recipients.table);
	c->recipients.table = NULL;
}

static void set(struct config *c, struct span key, struct span value, const char *where)
{
	size_t row = find_key(key);
	char name[64];
	struct buf b = BUF(name);
	const char *wrong;

	buf_put(&b, key);
	if (row == config_names.n) {
		fault_of_key(c, where, buf_terminate(&b) ? name : "?");
		return;
	}
	if (c->where[row] && strcmp(where, "-o") != 0) {
		fault(c, where, config_keys[row].name, "set twice");
		return;
	}
	c->where[row] = config_copy(c, span_of(where));
	wrong = assign(c, row, value);
	if (wrong)
		fault(c, where, config_keys[row].name, wrong);
}

void config_override(struct config *c, const char *pair)
{
	struct span key, value;

	if (conf_parse(span_of(pair), &key, &value) == CONF_PAIR)
		set(c, key, value, "-o");
	else
		fault(c, "-o", pair, "is not of the form key=value");
}

static void read_lines(struct config *c, const char *path, struct span text)
{
	char place[CONFIG_FAULT_MAX];

	for (size_t number = 1; text.n; number++) {
		struct buf b = BUF(place);
		const char *where;
		struct span key, value;
		buf_put_str(&b, path);
		buf_put_char(&b, ':');
		buf_put_num(&b, number);
		where = buf_terminate(&b) ? place : path;
		switch (conf_parse(span_take_line(&text), &key, &value)) {
		case CONF_BLANK:
			break;
		case CONF_PAIR:
			set(c, key, value, where);
			break;
		case CONF_SYNTAX:
			fault(c, where, "", "is not of the form key = value");
		}
	}
}

void config_read(struct config *c, const char *path, bool must)
{
	OWNED char *text = NULL;
	ssize_t n = file_read(path, CONFIG_FILE_MAX, &text);
	char why[CONFIG_FAULT_MAX];
	struct buf b = BUF(why);

	c->file = path;
	if (n >= 0) {
		read_lines(c, path, (struct span){ text, (size_t)n });
		return;
	}
	c->unread = must || n != -ENOENT;
	if (!c->unread) {
		c->missing = path;
		return;
	}
	file_put_fault(&b, path, (int)-n, FILE_READ);
	fault(c, path, "", b.overflow ? strerror((int)-n) : why);
}

static const char *where_of(const struct config *c, const char *key)
{
	const char *where = c->where[find_key(span_of(key))];

	return where ? where : "settings";
}

/* Makes config_print() show the value of a setting that is derived from others. */
static void settle(struct config *c, const char *key, const char *value)
{
	size_t row = find_key(span_of(key));

	if (!c->written[row])
		c->written[row] = config_copy(c, span_of(value));
}

/*
 * Returns the length of the directory that all Maildirs of a template share: the part
 * before its "%".
 */
static size_t fixed_length(const char *maildir)
{
	size_t n = strcspn(maildir, "%");

	if (!maildir[n])
		return n;
	while (n && maildir[n - 1] != '/')
		n--;
	return n;
}

/*
 * Returns the shortest length of a path of the template: each part of an address has at
 * least one octet.
 */
static size_t shortest_length(const char *template)
{
	size_t n = 0;

	for (; *template; template += 1 + (*template == '%'))
		n++;
	return n;
}

bool config_is_refused(const struct config *c, const char *key)
{
	size_t row = find_key(span_of(key));

	return c->where[row] && !c->written[row];
}

/* Splits maildir into mail-root and the path below it. */
static void finish_maildir(struct config *c)
{
	const char *dir = c->maildir;
	size_t n = c->mail_root ? strlen(c->mail_root) : fixed_length(dir);

	while (n > 1 && (c->mail_root ? c->mail_root : dir)[n - 1] == '/')
		n--;
	if (!c->mail_root && *dir != '/') {
		if (!config_is_refused(c, "mail-root"))
			fault(c, where_of(c, "maildir"), "maildir",
				config_path_fault(c, span_of(dir), "/srv/mail"));
		/* treated like a refused value */
		c->written[find_key(SPAN("maildir"))] = NULL;
		c->maildir = NULL;
		return;
	}
	if (!c->mail_root) {
		c->mail_root = config_copy(c, (struct span){ dir, n });
		dir += n;
		if (c->mail_root && strchr(" \t\r", c->mail_root[n - 1]))
			fault(c, where_of(c, "maildir"), "maildir",
				"has a directory whose name ends in a blank");
	} else if (*dir == '/' && strncmp(dir, c->mail_root, n) == 0) {
		dir += n;
		if (*dir && *dir != '/' && n > 1)
			fault(c, where_of(c, "maildir"), "maildir",
				"is not below mail-root");
	} else if (*dir == '/') {
		fault(c, where_of(c, "maildir"), "maildir", "is not below mail-root");
	}
	while (*dir == '/')
		dir++;
	c->maildir = *dir ? dir : ".";
	if (shortest_length(c->maildir) >= MAILBOX_PATH_MAX)
		fault(c, where_of(c, "maildir"), "maildir",
			"has more than 1023 octets below mail-root: no message can be "
			"stored");
	c->recipients.template = c->maildir;
	c->recipients.root_path = c->mail_root;
	c->recipients.table_path = c->recipients_file;
	if (c->mail_root)
		settle(c, "mail-root", c->mail_root);
}

/* Mail for users of the system goes into the home of each. */
static void finish_users(struct config *c)
{
	const char *const others[] = { "catch-all", "postmaster" };
	const char *const values[] = { c->recipients.catch_all,
		c->recipients.postmaster };

	c->users.channel = -ECONNRESET;
	c->recipients.users = &c->users;
	if (!c->mail_root)
		c->mail_root = USERS_ROOT;
	if (!c->maildir && !config_is_refused(c, "maildir")) {
		c->maildir = USERS_MAILDIR;
		settle(c, "maildir", USERS_MAILDIR);
	}
	if (c->maildir && *c->maildir == '/') {
		fault(c, where_of(c, "maildir"), "maildir",
			"is a path in the home of each user with recipients "
			"= " RECIPIENTS_USERS ", such as " USERS_MAILDIR);
		/* treated like a refused value */
		c->written[find_key(SPAN("maildir"))] = NULL;
		c->maildir = NULL;
	}
	if (c->users.first > c->users.last && !config_is_refused(c, "first-valid-uid") &&
		!config_is_refused(c, "last-valid-uid"))
		fault(c, where_of(c, "last-valid-uid"), "last-valid-uid",
			"is below first-valid-uid: no user would get mail; raise it");
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (values[i] && !recipients_is_address(values[i]))
			fault(c, where_of(c, others[i]), others[i],
				"must be the address of a user with recipients "
				"= " RECIPIENTS_USERS);
}

const char *config_forward_fault(const struct config *c)
{
	return c->has_users ? "is of no domain that mail is accepted for, and mail is "
			      "not forwarded: name the address of a user of this host"
			    : "is of no domain that mail is accepted for, and mail is "
			      "not forwarded: name a path below mail-root";
}

bool config_is_plain(struct span domain)
{
	return utf8_is_ascii(domain) && !memmem(domain.p, domain.n, "xn--", 4);
}

/*
 * Refuses an address of another domain, whose author probably expects that mail is
 * forwarded. --check judges those that need the module for Unicode.
 */
static void finish_instead(struct config *c)
{
	const char *const keys[] = { "catch-all", "postmaster" };
	const char *const values[] = { c->recipients.catch_all,
		c->recipients.postmaster };
	struct span local, domain;
	struct policy policy;

	policy_init(&policy, &c->session);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (!values[i] || !recipients_is_address(values[i]))
			continue;
		destination_key_cut(span_of(values[i]), &local, &domain);
		if (config_is_plain(domain) &&
			!span_ieq(domain, span_of(c->session.hostname)) &&
			policy_judge_domain(&policy, domain))
			fault(c, where_of(c, keys[i]), keys[i], config_forward_fault(c));
	}
	policy_done(&policy);
}

static bool is_below(struct span path, struct span directory)
{
	while (span_ends(directory, SPAN("/")))
		directory.n--;
	return span_starts(path, directory) &&
	       (path.n == directory.n || path.p[directory.n] == '/');
}

/*
 * A directory in mail-root could be the Maildir of an address, so that clients could
 * write to it.
 */
static void finish_outbox(struct config *c)
{
	if (c->dsn_outbox && c->mail_root &&
		is_below(span_of(c->dsn_outbox), span_of(c->mail_root)))
		fault(c, where_of(c, "dsn-outbox"), "dsn-outbox",
			"must not lie in mail-root, where mail goes");
}

/*
 * Reports that the value of a setting needs other settings. If the value is an option of
 * the command line, as in the units and for --listen= of some sockets, a line of the file
 * cannot change it. The fault then names the file for the other settings.
 */
static void fault_of_need(
	struct config *c, const char *key, const char *needs, const char *instead)
{
	const char *where = where_of(c, key), *value = c->written[find_key(span_of(key))];
	const char *kind = value && strcmp(value, "implicit") == 0   ? "an smtps"
			   : value && strcmp(value, "required") == 0 ? "a submission"
								     : NULL;
	char text[CONFIG_FAULT_MAX];

	if (strcmp(where, "-o") != 0 || !c->file || !value)
		snprintf(text, sizeof(text), "%s%s", needs, instead);
	else
		snprintf(text, sizeof(text),
			"%s, in %.200s, as -o %s=%s requires it%s%s%s", needs, c->file,
			key, value, kind ? ": it is the option of " : "",
			kind ? kind : "", kind ? " socket" : "");
	fault(c, where, key, text);
}

static void finish_tls(struct config *c)
{
	const char *const *certificate = c->tls_certificates, *const *key = c->tls_keys;
	bool has_agent = key && *key && strncmp(*key, TLS_AGENT, strlen(TLS_AGENT)) == 0;

	c->tls.n_pairs = 0;
	c->tls.agent = has_agent ? *key + strlen(TLS_AGENT) : NULL;
	for (; certificate && *certificate; certificate++) {
		bool has_key = key && *key;
		c->tls.pairs[c->tls.n_pairs++] = (struct tls_pair){
			.certificate = *certificate,
			.key = has_key ? *key : *certificate,
		};
		/* one agent has the keys of all certificates */
		key += has_key && !has_agent;
	}
	if (key && *key && !has_agent)
		fault(c, where_of(c, "tls-key"), "tls-key",
			"has more files than tls-certificate");
	if (c->session.tls != TLS_OFF && c->tls.n_pairs == 0)
		fault_of_need(c, "tls", "needs tls-certificate and tls-key",
			"; or set tls = off");
	c->tls.hostname = c->session.hostname;
}

static void finish_auth(struct config *c)
{
	bool may_use_tls = c->session.tls != TLS_OFF || c->clients_file;

	/*
	 * mail servers do not log in for LMTP, because access to the socket is the
	 * permission
	 */
	if (c->session.lmtp) {
		c->session.auth = AUTH_OFF;
		return;
	}
	c->session.any_needs_login = c->session.auth != AUTH_OFF || c->auth_users ||
				     c->auth_certificates || c->tls.client_ca;
	if (c->session.auth != AUTH_OFF && !may_use_tls)
		fault(c, where_of(c, "auth"), "auth",
			"needs tls, as a client cannot log in in the clear");
	if (c->session.auth != AUTH_OFF && !c->auth_users && !c->tls.client_ca)
		fault_of_need(c, "auth",
			"needs auth-users, or tls-client-ca for clients with a "
			"certificate",
			"");
	if (c->auth_users && !c->auth_secret)
		fault(c, where_of(c, "auth-users"), "auth-users",
			"needs auth-secret, a file of at least 32 random octets");
	if (c->auth_certificates && !c->tls.client_ca)
		fault(c, where_of(c, "auth-certificates"), "auth-certificates",
			"needs tls-client-ca: without it no client is asked for one");
}

/*
 * Some old clients send HELO, after which STARTTLS is not listed, if the greeting has no
 * "ESMTP".
 */
static void finish_banner(struct config *c)
{
	if (c->session.banner[0])
		return;
	c->session.banner =
		c->session.lmtp ? "LMTP service ready" : "ESMTP service ready";
	settle(c, "banner", c->session.banner);
}

static void finish_defaults(struct config *c)
{
	finish_banner(c);
	c->recipients.hostname = c->session.hostname;
	settle(c, "hostname", c->session.hostname ? c->session.hostname : "");
	if (!c->maildir_hostname)
		c->maildir_hostname = c->session.hostname;
	settle(c, "maildir-hostname", c->maildir_hostname ? c->maildir_hostname : "");
	if (c->session.n_domains == 0) {
		c->own_domain[0] = c->session.hostname;
		c->session.domains = c->own_domain;
		c->session.n_domains = c->session.hostname != NULL;
		settle(c, "domains", c->session.hostname ? c->session.hostname : "");
	}
	c->recipients.create = c->maildir_create;
	if (c->maildir_create == CREATE_AUTO) {
		bool is_one = !c->has_users && (!c->maildir || !strchr(c->maildir, '%'));
		c->maildir_create = is_one ? CREATE_YES : CREATE_NO;
		/*
		 * all mail goes to one Maildir; if it is missing, this is a first start
		 */
		if (is_one && !c->recipients_file)
			c->recipients.create = CREATE_YES;
	}
	if (!c->recipients_file && !c->has_users)
		settle(c, "maildir-create",
			c->maildir_create == CREATE_YES ? "yes" : "no");
}

/* Reports that maildir is not set. */
static void fault_of_maildir(struct config *c)
{
	if (c->missing)
		fault(c, c->missing, "",
			"there is no such file: make it, with a line that says where "
			"mail goes, such as maildir = /srv/mail/%d/%u; or name "
			"another by -c");
	else
		fault(c, where_of(c, "maildir"), "maildir",
			"not set; say where mail goes, such as maildir = "
			"/srv/mail/%d/%u");
}

const char *config_place(const struct config *c, struct span key)
{
	size_t row = find_key(key);

	if (row == config_names.n)
		return NULL;
	/* a value that is not set is taken from another setting */
	if (!c->where[row] && span_eq(key, SPAN("mail-root")))
		row = find_key(SPAN("maildir"));
	return c->where[row];
}

bool config_finish(struct config *c)
{
	finish_defaults(c);
	if (c->has_users)
		finish_users(c);
	if (c->maildir)
		finish_maildir(c);
	/* without the file further faults would be guesses */
	if (c->unread)
		return false;
	if (!c->maildir && !config_is_refused(c, "maildir") &&
		!config_is_refused(c, "recipients"))
		fault_of_maildir(c);
	if (!config_is_refused(c, "domains") && !config_is_refused(c, "hostname"))
		finish_instead(c);
	finish_outbox(c);
	finish_tls(c);
	finish_auth(c);
	if (c->traced.n && !c->trace_directory)
		fault(c, where_of(c, "trace"), "trace",
			"needs trace-directory; or set no trace");
	return c->faults.n == 0;
}

bool config_asks_for_login(const struct config *c)
{
	const struct session_settings *s = &c->session;
	bool has_any = false;

	for (size_t i = 0; i < s->n_domains; i++)
		has_any |= strcmp(s->domains[i], "*") == 0;
	return (has_any && s->any_needs_login) ||
	       (c->recipients.table && table_may_have(c->recipients.table, SPAN("auth")));
}

void config_print(const struct config *c, FILE *to)
{
	for (size_t i = 0; i < config_names.n; i++)
		fprintf(to, "%s = %s\n", config_keys[i].name,
			c->written[i] ? c->written[i] : config_default(&config_keys[i]));
}
