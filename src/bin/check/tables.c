/* SPDX-License-Identifier: ISC */
/*
 * Checks tables line by line: recipients, and those of AUTH. The table of recipients is
 * not opened here, because other rights are needed for it. No sentence contains a secret.
 */
#include "bin/check/parts.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "edge/auth/auth.h"
#include "edge/idn/idn.h"
#include "edge/module.h"
#include "edge/table/table.h"
#include "edge/tls/tls.h"
#include "proto/destination.h"
#include "proto/address.h"
#include "proto/text.h"
#include "proto/verifier.h"
#include "smtp/authenticator.h"
#include "smtp/policy.h"

/* The line that is checked. */
struct checked {
	struct config *config;
	const struct idn_api *api;
	struct policy policy; /* decides which domains are accepted */
	size_t line; /* 0: a cdb has no lines */
	struct span key;
};

/* Appends "FILE:LINE: WORD: ". */
static void put_place(const struct checked *at, struct span word, struct buf *b)
{
	buf_put_str(b, at->config->recipients_file);
	if (at->line) {
		buf_put_char(b, ':');
		buf_put_num(b, at->line);
	}
	buf_put(b, SPAN(": "));
	entry_show(b, word);
	buf_put(b, SPAN(": "));
}

/* Reports "FILE:LINE: WORD: WHAT". */
static void report_word(const struct checked *at, struct span word, const char *what)
{
	char octets[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets);

	put_place(at, word, &b);
	buf_put_str(&b, what);
	buf_terminate(&b);
	faults_put(&at->config->faults, "%s", octets);
}

static void report_form(const struct checked *at, struct span form)
{
	char octets[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets);

	buf_put(&b, SPAN("must be written "));
	entry_show(&b, form);
	buf_terminate(&b);
	report_word(at, at->key, octets);
}

/* Appends the key in the form of names that are looked up. False: the form is unknown. */
static bool put_form(const struct idn_api *api, struct span local, struct span domain,
	bool has_domain, struct buf *to)
{
	if (utf8_is_ascii(local))
		for (size_t i = 0; i < local.n; i++)
			buf_put_char(to, ascii_lower(local.p[i]));
	else if (api->local(local, to) != NAMES_FINE)
		return false;
	if (has_domain)
		buf_put_char(to, '@');
	return !has_domain || domain.n == 0 || api->domain(domain, to) == NAMES_FINE;
}

/* Reports a key that is in another form, and returns false. */
static bool check_form(const struct checked *at, struct span local, struct span domain)
{
	char octets[NAMES_LOCAL_MAX + 1 + DOMAIN_OCTETS_MAX];
	struct buf form = BUF(octets);

	if (!at->api || !put_form(at->api, local, domain, local.n < at->key.n, &form) ||
		form.overflow || span_eq(buf_span(&form), at->key))
		return true;
	report_form(at, buf_span(&form));
	return false;
}

static bool is_domain_of_ours(const struct session_settings *settings, struct span text)
{
	for (size_t i = 0; i < settings->n_domains; i++)
		if (span_ieq(span_of(settings->domains[i]), text))
			return true;
	return false;
}

/* True for accepted domains and for the hostname, because <postmaster> belongs to it. */
static bool takes_mail_for(struct checked *at, struct span domain)
{
	return span_ieq(domain, span_of(at->config->session.hostname)) ||
	       policy_judge_domain(&at->policy, domain) !=
		       reply_get(REPLY_DOMAIN_UNKNOWN);
}

/*
 * Warns of a name that a local part can have only in quotes. It is probably a mistake,
 * because such addresses are rare.
 */
static void check_quoted(const struct checked *at, struct span local)
{
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	if (local.n == 0 || local_is_dot_string(local))
		return;
	buf_put(&b, SPAN("warning: "));
	put_place(at, at->key, &b);
	buf_put(&b, SPAN("only mail for \""));
	entry_show(&b, local);
	buf_put(&b, SPAN("\"@... matches this, with the quotes: a line is for one name"));
	if (buf_terminate(&b))
		faults_warn(&at->config->faults, text);
}

/*
 * Reports a key that is not a name of a directory, so that its mail is refused, and
 * returns false.
 */
static bool check_place(const struct checked *at, struct span local, struct span domain)
{
	const struct config *c = at->config;
	struct recipients rs = c->recipients;
	const struct recipient r = { .local = local, .domain = domain };
	struct recipients_search search;
	struct recipients_place place;

	/* an unusable table is not searched */
	if (!rs.table || local.n == 0)
		return true;
	rs.catch_all = NULL;
	recipients_begin(&search, &rs, &r, true);
	switch (recipients_next(&search, &place)) {
	case RECIPIENTS_NAME:
		report_word(at, at->key,
			"is no name of a directory, for %u: write a path behind it, "
			"without %u");
		return false;
	case RECIPIENTS_LONG:
		report_word(at, at->key, "leads to a path of more than 1023 octets");
		return false;
	default:
		return true;
	}
}

static void check_key(struct checked *at)
{
	const struct session_settings *settings = &at->config->session;
	const char *fault = destination_key_fault(at->key);
	struct span local, domain;

	destination_key_cut(at->key, &local, &domain);
	if (!check_form(at, local, domain))
		return;
	if (fault)
		report_word(at, at->key, fault);
	else if (local.n < at->key.n && !takes_mail_for(at, domain))
		report_word(at, at->key, "is of no domain that mail is accepted for");
	else if (local.n == at->key.n && is_domain_of_ours(settings, local))
		report_word(at, at->key, "is a domain: for all its names write @domain");
	else if (check_place(at, local, domain))
		check_quoted(at, local);
}

static void report_destination(
	const struct checked *at, const struct destination_fault *fault)
{
	char text[CONFIG_FAULT_MAX], meant[CONF_MEANT_MAX] = "";

	if (fault->words)
		conf_put_meant(meant, fault->word, fault->words);
	snprintf(text, sizeof(text), "%s%s", fault->what, meant);
	report_word(at, fault->word, text);
}

static void check_pair(void *ctx, size_t line, struct span key, struct span value)
{
	struct checked *at = ctx;
	struct destination d;
	struct destination_fault fault;

	at->line = line;
	at->key = key;
	check_key(at);
	/* a quoted name with a blank: its second half was parsed as the value */
	if (key.n && *key.p == '"')
		return;
	if (!destination_parse(span_trim(value), &d, &fault))
		report_destination(at, &fault);
}

static void report_file(void *ctx, const char *what)
{
	struct config *c = ((const struct checked *)ctx)->config;

	faults_put(&c->faults, "recipients %s: %s", c->recipients_file, what);
}

/*
 * True when the address of a catch-all has no mailbox in the table or among the users.
 * *ret_why is then the reason, or empty.
 */
static bool is_unknown(const struct config *c, const char *address,
	char ret_why[static RECIPIENTS_FAULT_MAX])
{
	struct recipients rs = c->recipients;
	struct recipients_search search;
	struct recipients_place place;
	struct recipient r = { .slot = 0 };
	enum recipients_result result;

	rs.catch_all = NULL;
	destination_key_cut(span_of(address), &r.local, &r.domain);
	recipients_begin(&search, &rs, &r, true);
	result = recipients_next(&search, &place);
	memcpy(ret_why, search.fault, sizeof(search.fault));
	return result == RECIPIENTS_UNKNOWN;
}

/* Reports an address of another domain that the settings could not judge. */
static void check_instead(struct checked *at, const char *setting, const char *address)
{
	struct config *c = at->config;
	char why[RECIPIENTS_FAULT_MAX];
	struct span local, domain;

	if (!address || !recipients_is_address(address))
		return;
	destination_key_cut(span_of(address), &local, &domain);
	if (!takes_mail_for(at, domain)) {
		/* of a plain domain the settings have reported it */
		if (!config_is_plain(domain))
			faults_put(&c->faults, "%s %s: %s", setting, address,
				config_forward_fault(c));
	} else if (address == c->recipients.catch_all &&
		   (c->recipients.table || c->has_users) && is_unknown(c, address, why)) {
		faults_put(&c->faults, "%s %s: has no mailbox%s%s", setting, address,
			*why ? ": " : " in ",
			*why           ? why
			: c->has_users ? RECIPIENTS_USERS
				       : c->recipients_file);
	}
}

static void check_lines(struct checked *at)
{
	const struct table_visitor visitor = { at, check_pair };
	struct faults faults = { .report = report_file, .ctx = at }, reported = { 0 };
	const struct config *c = at->config;

	/* of an unusable table all valid lines are checked; the others were reported */
	if (c->recipients.table)
		table_visit(c->recipients.table, &visitor, &faults);
	else if (c->recipients_file)
		table_check(c->recipients_file, false, &visitor, &reported);
}

void check_recipients(struct config *c, const struct idn_api *api)
{
	struct idn_names names;
	struct checked at = { .config = c, .api = api };

	/* the fault of a module that could not be loaded was reported before */
	idn_names_init(&names, NULL, NULL);
	names.api = api;
	names.tried = true;
	c->session.names = &names.names;
	policy_init(&at.policy, &c->session);
	check_lines(&at);
	check_instead(&at, "catch-all", c->recipients.catch_all);
	check_instead(&at, "postmaster", c->recipients.postmaster);
	policy_done(&at.policy);
	c->session.names = NULL;
}

static bool is_there(const struct config *c, const char *path)
{
	char octets[PATH_MAX];
	struct buf b = BUF(octets);
	struct stat st;

	buf_put_str(&b, c->mail_root);
	buf_put_char(&b, '/');
	buf_put_str(&b, path);
	/* a path that cannot be examined may exist */
	return !buf_terminate(&b) || stat(octets, &st) == 0 ||
	       (errno != ENOENT && errno != ENOTDIR);
}

/*
 * False only if mail for the address is refused because it has no mailbox; *ret_why is
 * then the reason, or empty.
 */
static bool has_mailbox(const struct config *c, struct span local, struct span domain,
	char ret_why[static RECIPIENTS_FAULT_MAX])
{
	const struct recipient r = { .local = local, .domain = domain };
	struct recipients_search search;
	struct recipients_place place;
	enum recipients_result result;

	recipients_begin(&search, &c->recipients, &r, true);
	do
		result = recipients_next(&search, &place);
	while (result == RECIPIENTS_FOUND && !place.may_create &&
		!is_there(c, place.path));
	memcpy(ret_why, search.fault, sizeof(search.fault));
	return result != RECIPIENTS_UNKNOWN && result != RECIPIENTS_NAME;
}

/* True when it has warned. */
static bool check_role(const struct config *c, const char *domain)
{
	const char *named = c->recipients.postmaster;
	char text[2 * CONFIG_FAULT_MAX], why[RECIPIENTS_FAULT_MAX];

	if (has_mailbox(c, SPAN("postmaster"), span_of(domain), why))
		return false;
	if (named)
		snprintf(text, sizeof(text),
			"warning: postmaster%s%s has no mailbox, and mail for it should "
			"be accepted (RFC 5321 4.5.1): postmaster = %.200s has "
			"none%s%s",
			*domain ? "@" : "", domain, named, *why ? ": " : "", why);
	else
		snprintf(text, sizeof(text),
			"warning: postmaster%s%s has no mailbox, and mail for it should "
			"be accepted (RFC 5321 4.5.1): make it, or name another by "
			"postmaster =",
			*domain ? "@" : "", domain);
	faults_warn(&c->faults, text);
	return true;
}

void check_postmaster(const struct config *c)
{
	/* the address that is named has no mailbox for any domain */
	if (check_role(c, "") && c->recipients.postmaster)
		return;
	for (size_t i = 0; i < c->session.n_domains; i++) {
		const char *domain = c->session.domains[i];
		if (*domain != '*' && utf8_is_ascii(span_of(domain)))
			check_role(c, domain);
	}
}

/* A file of a setting of AUTH. */
struct checked_file {
	const char *setting, *path;
	/* returns NULL, or the fault, which may be in `room` */
	const char *(*judge)(const struct checked_file *f, struct span key,
		struct span value, char room[static TABLE_FAULT_MAX]);
	struct config *config;
	const struct sasl_api *api; /* NULL: it cannot be loaded, and this was reported */
};

static void report_checked_file(void *ctx, const char *what)
{
	const struct checked_file *p = ctx;
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "%s %s: %s", p->setting, p->path, what);
	check_fault(p->config, text);
}

static void check_entry(void *ctx, size_t line, struct span key, struct span value)
{
	const struct checked_file *p = ctx;
	char octets[TABLE_FAULT_MAX], room[TABLE_FAULT_MAX];
	const char *wrong = p->judge(p, key, value, room);
	struct buf b = BUF(octets);

	if (!wrong)
		return;
	if (line) {
		buf_put(&b, SPAN("line "));
		buf_put_num(&b, line);
		buf_put(&b, SPAN(": "));
	}
	entry_show(&b, key);
	buf_put(&b, SPAN(": "));
	buf_put_str(&b, wrong);
	report_checked_file(ctx, buf_terminate(&b) ? octets : wrong);
}

static void check_table(const struct checked_file *p, bool is_secret)
{
	const struct table_visitor v = { (void *)p, check_entry };
	struct faults faults = { .report = report_checked_file, .ctx = (void *)p };
	char unused[TABLE_FAULT_MAX];
	struct table *t = NULL;

	if (!p->path)
		return;
	table_check(p->path, is_secret, &v, &faults);
	if (table_open(p->path, is_secret, &t, unused) == 0 && table_is_empty(t))
		report_checked_file((void *)p, TABLE_EMPTY);
	table_close(t);
}

/* Returns the fault of a name, which must be in the form of names that are looked up. */
static const char *name_fault(
	const struct checked_file *f, struct span user, char room[static TABLE_FAULT_MAX])
{
	char octets[AUTH_USER_MAX];
	struct buf form = BUF(octets), b = { .p = room, .cap = TABLE_FAULT_MAX };

	if (user.n >= AUTH_USER_MAX)
		return "is longer than a user's name may be (255 octets)";
	if (!f->api)
		return NULL;
	if (!f->api->form(user, &form))
		return "is a name that no user can log in with (SASLprep, RFC 4013): it "
		       "must be UTF-8 without control characters";
	if (span_eq(buf_span(&form), user))
		return NULL;
	buf_put(&b, SPAN("must be written "));
	entry_show(&b, buf_span(&form));
	return buf_terminate(&b) ? room : "must be written in the form of SASLprep";
}

static const char *judge_user(const struct checked_file *f, struct span user,
	struct span verifier, char room[static TABLE_FAULT_MAX])
{
	const char *wrong = name_fault(f, user, room);
	struct verifier unused;

	return wrong ? wrong : verifier_parse(verifier, &unused);
}

static const char *judge_certificate(const struct checked_file *f,
	struct span fingerprint, struct span user, char room[static TABLE_FAULT_MAX])
{
	bool fine = fingerprint.n == 2 * TLS_FINGERPRINT_SIZE;

	(void)f;
	(void)room;
	for (size_t i = 0; fine && i < fingerprint.n; i++)
		fine = (fingerprint.p[i] >= '0' && fingerprint.p[i] <= '9') ||
		       (fingerprint.p[i] >= 'a' && fingerprint.p[i] <= 'f');
	if (!fine)
		return "is no SHA-256 fingerprint of 64 hexadecimal digits, in lower "
		       "case and without colons";
	if (user.n == 0 || user.n >= AUTH_USER_MAX)
		return "has no user's name of 1 to 255 octets";
	return NULL;
}

/* Names of users of certificates are checked as certificates contain them. */
static const char *judge_sender(const struct checked_file *f, struct span user,
	struct span list, char room[static TABLE_FAULT_MAX])
{
	struct span word = senders_wrong(list);
	struct buf b = { .p = room, .cap = TABLE_FAULT_MAX };

	if (word.n) {
		buf_put(&b, SPAN("has a word that is no address, @domain or *: "));
		entry_show(&b, word);
		return buf_terminate(&b) ? room : "has a word that is no address";
	}
	return f->config->tls.client_ca ? NULL : name_fault(f, user, room);
}

static void check_secret(const struct checked_file *p)
{
	struct span secret = { 0 };
	char why[TABLE_FAULT_MAX];
	struct buf b = BUF(why);

	if (p->path && secret_read(p->path, &secret, &b) < 0)
		report_checked_file((void *)p, b.overflow ? "cannot be used" : why);
	free((char *)secret.p);
}

void check_auth(struct config *c)
{
	char modules[MODULE_PATH_MAX];
	struct buf directory = BUF(modules);
	const struct sasl_api *api;
	const char *unused;

	module_directory(&directory);
	api = module_load(modules, SASL_MODULE, SASL_MODULE_TABLE, &unused);
	const struct checked_file users = { "auth-users", c->auth_users, judge_user, c,
		api };
	const struct checked_file secret = { "auth-secret", c->auth_secret, NULL, c,
		api };
	const struct checked_file certificates = { "auth-certificates",
		c->auth_certificates, judge_certificate, c, api };
	const struct checked_file senders = { "auth-senders", c->auth_senders,
		judge_sender, c, api };

	check_table(&users, true);
	check_secret(&secret);
	check_table(&certificates, false);
	check_table(&senders, false);
}
