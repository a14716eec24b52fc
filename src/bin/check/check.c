/* SPDX-License-Identifier: ISC */
/*
 * `postern --check`: runs the checks in the order in which a connection uses files and
 * directories, with the rights that it has at each point, and prints their findings. With
 * --listen it does this for each kind of socket, in a process of its own, because a check
 * becomes the user of the settings. It changes nothing.
 */
#include "bin/check/check.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "bin/check/parts.h"
#include "bin/connection.h"
#include "bin/listen/listen.h"
#include "edge/idn/idn.h"
#include "edge/milter/milter.h"
#include "edge/module.h"
#include "edge/sandbox/sandbox.h"
#include "proto/text.h"

#define LINES_MAX 1024 /* lines that are compared with those of other kinds */

/* Root without `user`. */
static void check_root(struct config *c)
{
	if (!c->has_users && !config_is_refused(c, "recipients"))
		check_warning(c,
			"user: not set, and this is root: each mailbox gets its mail as "
			"its "
			"owner, a mailbox that is made belongs to the owner of the "
			"directory that it is made in, and connections run as nobody, or "
			"as root where root owns all mail. Set user where another user "
			"owns all mail");
	if (!c->has_users && !sandbox_may_become_users())
		check_warning(c,
			"user: not set, and this process may become no other user: "
			"mailboxes of other users get no mail. Give it CAP_SETUID and "
			"CAP_SETGID, or set user");
}

static void check_user(struct config *c)
{
	int r = c->user ? sandbox_user(c->user) : 0;
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	if (r == 0 && !c->user && geteuid() == 0)
		check_root(c);
	if (r == 0)
		return;
	account_put_fault(&b, c->user, -r);
	check_setting_fault(c, "user", c->user, b.overflow ? strerror(-r) : text);
}

/* The place of a line of the clients file, whose priority string is checked. */
struct place {
	struct config *config;
	size_t line;
};

static void put_placed(void *ctx, const char *text)
{
	const struct place *place = ctx;
	char where[CONFIG_FAULT_MAX];

	snprintf(where, sizeof(where), "%s:%zu: %s", place->config->clients_file,
		place->line, text);
	check_fault(place->config, where);
}

static void check_priorities(struct config *c, const struct tls_api *api)
{
	for (size_t i = 0; i < c->clients.n_rules; i++) {
		const struct rule *rule = &c->clients.rules[i];
		struct place place = { c, rule->line };
		const struct tls_report report = { .ctx = &place, .fault = put_placed };
		struct tls_settings tls = c->tls;
		tls.priority = rule->priority.p;
		if (rule->priority.n)
			api->check_priority(&tls, &report);
	}
}

static bool has_priorities(const struct config *c)
{
	for (size_t i = 0; i < c->clients.n_rules; i++)
		if (c->clients.rules[i].priority.n)
			return true;
	return false;
}

/* Loads a module. Returns its table, or NULL after a fault. */
static const void *load(
	struct config *c, const char *feature, const char *file, const char *name)
{
	char modules[MODULE_PATH_MAX], text[CONFIG_FAULT_MAX];
	struct buf directory = BUF(modules), b = BUF(text);
	const char *error;
	const void *table;

	module_directory(&directory);
	table = module_load(modules, file, name, &error);
	if (table)
		return table;
	module_put_fault(&b, modules, file, error);
	check_setting_fault(c, feature, "module", b.overflow ? error : text);
	return table;
}

/*
 * Warns of a hostname that GnuTLS refuses in SNI. Address literals are left out, because
 * clients do not send them in SNI.
 */
static void check_own_name(struct config *c)
{
	const char *name = c->session.hostname;

	if (name && *name != '[' && !tls_name_is_taken(span_of(name)))
		check_setting_fault(c, "hostname", name,
			"clients that send this name in TLS (SNI) are refused, as GnuTLS "
			"takes letters, digits, - and . alone in it; choose another "
			"name");
}

/*
 * Reports keys in tokens that are not used by the key agent of a listener, and all in
 * a static program.
 */
static void check_tokens(struct config *c, bool listens)
{
	if (!tls_settings_have_token(&c->tls))
		return;
	if (module_inside())
		check_setting_fault(c, "tls-key", TLS_TOKEN,
			"this program is static, without PKCS#11: name a file, or build "
			"postern without -Dstatic=enabled");
	else if (!(listens && c->tls_key_agent))
		check_setting_fault(c, "tls-key", TLS_TOKEN,
			"only the key agent of a listener uses the key of a token "
			"(postern --listen, with tls-key-agent = yes)");
}

/* Checks certificates and keys: those in files, or those of the agent. */
static void check_pairs(struct config *c, const struct tls_api *api, bool listens)
{
	const struct tls_report report = { .ctx = c, .fault = check_fault };
	struct tls_settings tls = c->tls;
	struct keys keys = { .channel = -ECONNRESET, .signals = -1 };

	if (tls.agent && listens) {
		check_fault(c, PRELOAD_OTHER_AGENT);
		return;
	}
	if (tls.agent) {
		keys.channel = keys_connect(tls.agent);
		tls.keys = &keys;
	}
	if (keys.channel < 0 && tls.agent)
		check_setting_fault(c, "tls-key", tls.agent, keys_error(keys.channel));
	else
		api->check(&tls, &report);
	if (keys.channel >= 0)
		close(keys.channel);
}

static void check_tls(struct config *c, bool listens)
{
	const struct tls_api *api;

	if (!config_may_use_tls(c) && !has_priorities(c))
		return;
	api = load(c, "tls", TLS_MODULE, TLS_MODULE_TABLE);
	if (!api)
		return;
	if (config_may_use_tls(c))
		check_pairs(c, api, listens);
	check_tokens(c, listens);
	check_own_name(c);
	check_priorities(c, api);
}

/* True when the domain has a form with A-labels, which policy.c compares. */
static bool has_a_labels(const struct idn_api *api, const char *pattern)
{
	const char *domain = strncmp(pattern, "*.", 2) == 0 ? pattern + 2 : pattern;
	char octets[DOMAIN_OCTETS_MAX + 1] = "";
	struct buf b = BUF(octets);

	return api->domain(span_of(domain), &b) == NAMES_FINE && buf_terminate(&b) &&
	       strstr(octets, "xn--");
}

/* Checks domains = * with the `auth` of each kind of socket. */
static void check_any_domain(struct config *c)
{
	const struct session_settings *s = &c->session;

	for (size_t i = 0; i < s->n_domains; i++)
		if (strcmp(s->domains[i], "*") == 0 && s->any_needs_login &&
			s->auth != AUTH_REQUIRED)
			check_setting_fault(c, "domains", "*",
				"needs auth = required, as users log in here: on a "
				"socket "
				"without it other clients get 530 for all domains that "
				"are "
				"not named; set auth = required, or name the domains");
}

/*
 * Warns of an address without brackets. Some devices send to info@192.0.2.1, which has
 * the form of a domain. Clients that obey RFC 5321 4.1.3 send to info@[192.0.2.1], which
 * is a different one.
 */
static void check_bare_address(struct config *c, const char *domain)
{
	char address[IP_TEXT_MAX] = "", literal[IP_TEXT_MAX + 2];
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(address);
	struct ip ip;

	if (!ip_parse(span_of(domain), &ip))
		return;
	ip_put(&b, &ip);
	buf_terminate(&b);
	snprintf(literal, sizeof(literal), "[%s]", address);
	for (size_t i = 0; i < c->session.n_domains; i++)
		if (strcmp(c->session.domains[i], literal) == 0)
			return;
	snprintf(text, sizeof(text),
		"domains %s: accepts user@%s, but not user@%s; add %s (RFC 5321 4.1.3)",
		address, address, literal, literal);
	check_warning(c, text);
}

static void check_names(struct config *c)
{
	const struct idn_api *api = load(c, "smtputf8", IDN_MODULE, IDN_MODULE_TABLE);

	for (size_t i = 0; api && i < c->session.n_domains; i++) {
		const char *domain = c->session.domains[i];
		if (!utf8_is_ascii(span_of(domain)) && !has_a_labels(api, domain))
			check_setting_fault(c, "domains", domain,
				"is no internationalized domain name (RFC 5891)");
	}
	for (size_t i = 0; i < c->session.n_domains; i++)
		check_bare_address(c, c->session.domains[i]);
	check_any_domain(c);
	check_recipients(c, api);
}

/*
 * Warns of limits for failures in a process for one connection, which does not count
 * other sessions.
 */
static void check_failures(struct config *c)
{
	char text[CONFIG_FAULT_MAX];

	for (enum failure kind = 0; kind <= FAILURES; kind++) {
		const char *name =
			kind < FAILURES ? failure_setting(kind) : "source-failure-time";

		if (!config_place(c, span_of(name)))
			continue;
		snprintf(text, sizeof(text),
			"%s: has no effect in a process that serves one connection, "
			"which "
			"remembers nothing of others; postern --listen counts failures",
			name);
		check_warning(c, text);
	}
}

static void check_sasl(struct config *c)
{
	if (c->session.auth != AUTH_OFF)
		load(c, "auth", SASL_MODULE, SASL_MODULE_TABLE);
}

static void check_program(struct config *c)
{
	const char *inside = module_inside();
	char text[CONFIG_FAULT_MAX];

	if (c->sandbox && !sandbox_has_filter())
		check_warning(c,
			"sandbox: this build has no system call filter, as for an "
			"architecture without one: Landlock alone limits files, and "
			"records have sandbox=landlock-only");
	if (!inside)
		return;
	snprintf(text, sizeof(text),
		"%s: a security update of these libraries takes effect when postern is "
		"built again",
		inside);
	check_warning(c, text);
}

/*
 * `listens`: certificates and keys are read before the process becomes the user of the
 * settings, with the rights of a listener.
 */
static int check_all(struct config *c, bool listens)
{
	if (c->unread)
		return EX_CONFIG;
	check_program(c);
	if (c->session.auth != AUTH_OFF)
		check_auth(c);
	if (listens)
		check_tls(c, listens);
	check_user(c);
	/* before homes are examined as their owners, which ends the groups of root */
	if (c->milters)
		check_filters(c, load(c, "milters", MILTER_MODULE, MILTER_MODULE_TABLE));
	check_users(c);
	check_places(c);
	if (!listens)
		check_tls(c, listens);
	if (!listens)
		check_failures(c);
	check_sasl(c);
	check_names(c);
	if (c->maildir && c->faults.n == 0)
		check_postmaster(c);
	return c->faults.n ? EX_CONFIG : 0;
}

int check(struct config *c)
{
	return check_all(c, false);
}

/* The lines that were printed, because most faults are the same for all kinds. */
struct printed {
	char *lines[LINES_MAX];
	size_t n;
};

/* Checks a kind of socket, in a process of its own. */
static int check_kind(struct connection *c, enum listen_kind kind)
{
	struct check_output output = { &c->config, c->options.json };

	listen_put_options(&c->options, kind);
	connection_settings(c, check_print, &output);
	return check_all(&c->config, true);
}

static bool is_printed(const struct printed *p, const char *line)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->lines[i], line) == 0)
			return true;
	return false;
}

/* Prints the lines of `from` that have not been printed, and closes `from`. */
static void print_new(struct printed *p, int from, FILE *to)
{
	FILE *lines = fdopen(from, "r");
	char *line = NULL;
	size_t room = 0;

	while (lines && getline(&line, &room, lines) > 0) {
		if (is_printed(p, line))
			continue;
		fputs(line, to);
		if (p->n < LINES_MAX && (p->lines[p->n] = strdup(line)))
			p->n++;
	}
	free(line);
	if (lines)
		fclose(lines);
	else
		close(from);
}

/* Checks a kind in a process of its own. Returns its exit status. */
static int check_apart(struct connection *c, enum listen_kind kind, struct printed *p)
{
	const bool json = c->options.json;
	int ends[2], status;
	pid_t pid = -1;

	if (pipe(ends) == 0)
		pid = fork();
	if (pid < 0) {
		check_print(&(struct check_output){ .json = json }, strerror(errno));
		return EX_OSERR;
	}
	if (pid == 0) {
		close(ends[0]);
		if (dup2(ends[1], json ? STDOUT_FILENO : STDERR_FILENO) < 0)
			_exit(EX_OSERR);
		_exit(check_kind(c, kind));
	}
	close(ends[1]);
	print_new(p, ends[0], json ? stdout : stderr);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return EX_SOFTWARE;
	return WEXITSTATUS(status);
}

static void put_address_fault(
	const struct options *o, const char *address, const char *wrong)
{
	struct check_output output = { .json = o->json };
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "--listen=%s: %s", address, wrong);
	check_print(&output, text);
}

/*
 * Finds the kinds of the addresses; SMTP without addresses. False: an address is wrong.
 */
static bool find_kinds(const struct options *o, bool wanted[static LISTEN_KINDS])
{
	bool fine = true;

	wanted[LISTEN_SMTP] = o->n_addresses == 0;
	for (size_t i = 0; i < o->n_addresses; i++) {
		enum listen_kind kind;
		const char *wrong = listen_find_kind(o->addresses[i], &kind);
		if (wrong)
			put_address_fault(o, o->addresses[i], wrong);
		else
			wanted[kind] = true;
		fine &= !wrong;
	}
	return fine;
}

int check_listener(struct connection *c)
{
	struct printed printed = { .n = 0 };
	bool wanted[LISTEN_KINDS] = { false };
	int worst = find_kinds(&c->options, wanted) ? 0 : EX_CONFIG;

	for (enum listen_kind kind = 0; kind < LISTEN_KINDS; kind++) {
		int status = wanted[kind] ? check_apart(c, kind, &printed) : 0;
		if (status)
			worst = status;
	}
	while (printed.n)
		free(printed.lines[--printed.n]);
	return worst;
}
