/* Promises to look with the rights that a connection will have; changes nothing. */
#include "bin/check/check.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "bin/check/auth.h"
#include "bin/check/mailboxes.h"
#include "bin/check/recipients.h"
#include "edge/sandbox/sandbox.h"
#include "edge/file.h"
#include "edge/idn/idn.h"
#include "edge/log/log.h"
#include "edge/store/store.h"
#include "edge/module.h"
#include "edge/auth/auth.h"
#include "proto/text.h"

#define WARNING "warning: "

/* What a fault is about, as far as its text shows. */
struct finding {
	bool is_warning;
	struct span file; /* or "-o" */
	uint64_t line; /* 0: not known */
	struct span key; /* a setting, or empty */
	struct span text; /* without the place */
};

static bool take(struct span *s, struct span prefix)
{
	if (s->n < prefix.n || memcmp(s->p, prefix.p, prefix.n) != 0)
		return false;
	*s = span_from(*s, prefix.n);
	return true;
}

/* "file:12", of which "12" must be a number. */
static bool take_place(struct span place, struct finding *f)
{
	const char *colon = place.n ? memrchr(place.p, ':', place.n) : NULL;
	size_t n = colon ? (size_t)(colon - place.p) : 0;

	if (!colon || !num_parse(span_from(place, n + 1), &f->line))
		return false;
	f->file = (struct span){ place.p, n };
	return true;
}

/* Up to the first ": ", or all. */
static struct span before_colon(struct span s)
{
	const char *at = memmem(s.p, s.n, ": ", 2);

	return at ? (struct span){ s.p, (size_t)(at - s.p) } : s;
}

/* "recipients /etc/postern/recipients: line 7: ..." names a file by its setting. */
static void take_line_of_table(struct finding *f)
{
	struct span head = before_colon(f->text), rest = span_from(f->text, head.n),
		    number;

	if (f->key.n == 0 || head.n <= f->key.n || !take(&rest, SPAN(": line ")))
		return;
	number = before_colon(rest);
	if (!num_parse(number, &f->line))
		return;
	f->file = span_from(head, f->key.n + 1);
	f->text = span_from(rest, number.n);
	take(&f->text, SPAN(": "));
}

static void find_place(const struct config *c, const char *text, struct finding *f)
{
	struct span head;
	const char *place;

	*f = (struct finding){ .text = span_of(text) };
	f->is_warning = take(&f->text, SPAN(WARNING));
	head = before_colon(f->text);
	if (take_place(head, f) || span_eq(head, SPAN("-o"))) {
		f->file = f->line ? f->file : head;
		f->text = span_from(f->text, head.n);
		take(&f->text, SPAN(": "));
		head = before_colon(f->text);
	}
	head.n = head.n ? strcspn(head.p, ": ") : 0;
	place = c ? config_place(c, head) : NULL;
	if (!place)
		return;
	f->key = head;
	if (f->file.n)
		return;
	take_line_of_table(f);
	if (!f->file.n && !take_place(span_of(place), f))
		f->file = span_of(place);
}

static void put_text(const struct finding *f)
{
	char line[32] = "";

	if (f->line)
		snprintf(line, sizeof(line), ":%ju", (uintmax_t)f->line);
	dprintf(STDERR_FILENO, "postern: %s%.*s%s%s%.*s\n", f->is_warning ? WARNING : "",
		(int)f->file.n, f->file.p ? f->file.p : "", line, f->file.n ? ": " : "",
		(int)f->text.n, f->text.p);
}

/* A string of JSON: what is no UTF-8 stands as a replacement character. */
static void put_string(struct span s)
{
	putchar('"');
	while (s.n) {
		size_t n = utf8_non_ascii(s);
		if (n)
			fwrite(s.p, 1, n, stdout);
		else if (*s.p == '"' || *s.p == '\\')
			printf("\\%c", *s.p);
		else if (*s.p < 32 || *s.p > 126)
			printf("\\u%04x", *s.p < 0 || *s.p > 126 ? 0xfffd : *s.p);
		else
			putchar(*s.p);
		s = span_from(s, n ? n : 1);
	}
	putchar('"');
}

static void put_json(const struct finding *f)
{
	printf("{\"level\":\"%s\"", f->is_warning ? "warning" : "fault");
	if (f->file.n) {
		fputs(",\"file\":", stdout);
		put_string(f->file);
	}
	if (f->line)
		printf(",\"line\":%ju", (uintmax_t)f->line);
	if (f->key.n) {
		fputs(",\"setting\":", stdout);
		put_string(f->key);
	}
	fputs(",\"text\":", stdout);
	put_string(f->text);
	fputs("}\n", stdout);
	fflush(stdout);
}

void check_print(void *ctx, const char *text)
{
	const struct check_output *output = ctx;
	struct finding f;

	find_place(output->config, text, &f);
	if (output->json)
		put_json(&f);
	else
		put_text(&f);
}

static void put_fault(void *ctx, const char *text)
{
	struct config *c = ctx;
	char shown[CONFIG_FAULT_MAX];
	struct buf b = BUF(shown);

	config_show(c, text, &b);
	faults_put(&c->faults, "%s", b.overflow ? text : shown);
}

/* What an administrator should know, although mail is received. */
static void put_warning(void *ctx, const char *text)
{
	struct config *c = ctx;
	char shown[CONFIG_FAULT_MAX];

	snprintf(shown, sizeof(shown), WARNING "%s", text);
	faults_warn(&c->faults, shown);
}

static void put_named(
	struct config *c, const char *key, const char *value, const char *what)
{
	char text[2 * CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "%s %s: %s", key, value, what);
	put_fault(c, text);
}

static void check_user(struct config *c)
{
	int r = c->user ? sandbox_user(c->user) : 0;
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	if (r == 0 && !c->user && geteuid() == 0)
		put_warning(c,
			"user: not set, and this is root: mail would be received with "
			"root's rights, and a mailbox that is made belongs to the owner "
			"of the directory that it is made in. Set user, or start postern "
			"as another user");
	if (r == 0)
		return;
	account_put_fault(&b, c->user, -r);
	put_named(c, "user", c->user, b.overflow ? strerror(-r) : text);
}

/* What keeps us from writing in the directory, an errno; 0: nothing. */
static int directory_fault(const char *path)
{
	/* by no link of another user */
	OWNED_FD int fd = file_open_directory(path);
	struct stat st;

	if (fd == -ELOOP)
		return ELOOP;
	if (stat(path, &st) < 0)
		return errno;
	if (!S_ISDIR(st.st_mode))
		return ENOTDIR;
	if (fd >= 0 && file_system_takes_none(fd))
		return FILE_IS_TAKEN_NOWHERE;
	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return errno;
	return 0;
}

static void put_directory_fault(
	struct config *c, const char *key, const char *value, const char *path, int error)
{
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	if (!error)
		return;
	file_put_directory_fault(&b, path, error);
	put_named(c, key, value, b.overflow ? strerror(error) : text);
}

static void check_directory(struct config *c, const char *key, const char *path)
{
	put_directory_fault(c, key, path, path, directory_fault(path));
}

/* The next connection makes it in the directory `above`; where that is missing the cure is as at run time. */
static void check_above(
	struct config *c, const char *key, const char *path, const char *above)
{
	int error = directory_fault(above);

	put_directory_fault(c, key, path, error == ENOENT ? path : above, error);
}

static bool is_missing(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 && errno == ENOENT;
}

/* One that is missing is made by the next connection, if it can be: see mailbox_root(). */
static bool is_made(const struct config *c, const char *above)
{
	OWNED_FD int fd = file_open_directory(above);

	return c->maildir_create == CREATE_YES && is_missing(c->mail_root) &&
	       (c->recipients.create == CREATE_YES || fd < 0 ||
		       !mailbox_dir_is_empty(fd));
}

static void check_mail_root(struct config *c)
{
	static const struct check_report report = { put_fault, put_warning };
	OWNED char *copy = strdup(c->mail_root);
	const char *above = copy ? dirname(copy) : ".";
	int error = directory_fault(c->mail_root);

	if (is_made(c, above))
		check_above(c, "mail-root", c->mail_root, above);
	else
		put_directory_fault(c, "mail-root", c->mail_root, c->mail_root, error);
	if (!error)
		check_mailboxes(c, &report);
}

/* One that is missing is made by the next connection, if it can be. */
static void check_outbox(struct config *c)
{
	const char *path = c->dsn_outbox;
	OWNED char *copy = strdup(path);
	OWNED char *inside = NULL;

	if (copy && is_missing(path)) {
		check_above(c, "dsn-outbox", path, dirname(copy));
		return;
	}
	check_directory(c, "dsn-outbox", path);
	if (!directory_fault(path) && asprintf(&inside, "%s/new", path) >= 0 &&
		!is_missing(inside))
		check_directory(c, "dsn-outbox", inside);
}

/* Of the directory in which the next connection makes the file. */
static void check_log_place(struct config *c)
{
	OWNED char *copy = strdup(c->log_file);
	const char *above = copy ? dirname(copy) : ".";
	struct statvfs fs;
	int error = directory_fault(above);

	if (!error && statvfs(above, &fs) == 0 && fs.f_bavail == 0)
		error = ENOSPC;
	if (error != ENOSPC)
		put_directory_fault(c, "log", c->log_file, above, error);
	else
		put_named(c, "log", c->log_file, strerror(error));
}

/* Tries the sink; with `auto` it is known only where a connection is. */
static void check_log(struct config *c)
{
	int error = log_sink_try(c->log, c->log_file);
	char text[CONFIG_FAULT_MAX] = "log ";
	struct buf b = BUF(text);

	if (c->log == LOG_JSON && error == -ENOENT) {
		check_log_place(c);
		return;
	}
	if (error == 0)
		return;
	b.n = strlen(text);
	log_put_fault(&b, c->log, c->log_file, error);
	put_fault(c, buf_terminate(&b) ? text : strerror(-error));
}

/* A line of the clients file whose priority string is looked at. */
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
	put_fault(place->config, where);
}

static void check_priorities(struct config *c, const struct tls_api *api)
{
	for (size_t i = 0; i < c->clients.n_rules; i++) {
		const struct rule *rule = &c->clients.rules[i];
		struct place place = { c, rule->line };
		const struct tls_report report = { .ctx = &place, .fault = put_placed };
		if (rule->priority.n)
			api->check_priority(rule->priority.p, &report);
	}
}

static bool has_priorities(const struct config *c)
{
	for (size_t i = 0; i < c->clients.n_rules; i++)
		if (c->clients.rules[i].priority.n)
			return true;
	return false;
}

/* The module's table, or NULL and a fault. */
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
	put_named(c, feature, "module", b.overflow ? error : text);
	return table;
}

/* An address literal is no name that clients send. */
static void check_own_name(struct config *c)
{
	const char *name = c->session.hostname;

	if (name && *name != '[' && !tls_name_is_taken(span_of(name)))
		put_named(c, "hostname", name,
			"clients that send this name in TLS (SNI) are refused, as GnuTLS "
			"takes letters, digits, - and . alone in it; choose another "
			"name");
}

static void check_tls(struct config *c)
{
	const struct tls_report report = { .ctx = c, .fault = put_fault };
	const struct tls_api *api;

	if (!config_may_use_tls(c) && !has_priorities(c))
		return;
	api = load(c, "tls", TLS_MODULE, TLS_MODULE_TABLE);
	if (!api)
		return;
	if (config_may_use_tls(c))
		api->check(&c->tls, &report);
	check_own_name(c);
	check_priorities(c, api);
}

/* A domain that is not ASCII must have A-labels: by them it is found (policy.c). */
static bool has_a_labels(const struct idn_api *api, const char *pattern)
{
	const char *domain = strncmp(pattern, "*.", 2) == 0 ? pattern + 2 : pattern;
	char octets[DOMAIN_OCTETS_MAX + 1] = "";
	struct buf b = BUF(octets);

	return api->domain(span_of(domain), &b) == NAMES_FINE && buf_terminate(&b) &&
	       strstr(octets, "xn--");
}

static void check_names(struct config *c)
{
	const struct idn_api *api = load(c, "smtputf8", IDN_MODULE, IDN_MODULE_TABLE);

	for (size_t i = 0; api && i < c->session.n_domains; i++) {
		const char *domain = c->session.domains[i];
		if (!utf8_is_ascii(span_of(domain)) && !has_a_labels(api, domain))
			put_named(c, "domains", domain,
				"is no internationalized domain name (RFC 5891)");
	}
	check_recipients(c, api);
}

static void check_sasl(struct config *c)
{
	if (c->session.auth != AUTH_OFF)
		load(c, "auth", SASL_MODULE, SASL_MODULE_TABLE);
}

/* Where records go to journald, as they do under systemd unless the settings say otherwise. */
static void check_journal(struct config *c)
{
	if (c->log == LOG_JOURNAL || (c->log == LOG_AUTO && HAS_SYSTEMD))
		load(c, "log", SYSTEMD_MODULE, SYSTEMD_MODULE_TABLE);
}

int check(struct config *c, bool listens)
{
	if (c->unread)
		return EX_CONFIG;
	if (c->session.auth != AUTH_OFF)
		check_auth(c, put_fault, c);
	if (listens)
		check_tls(c);
	check_user(c);
	if (c->maildir)
		check_mail_root(c);
	check_log(c);
	if (c->traced.n && c->trace_directory)
		check_directory(c, "trace-directory", c->trace_directory);
	if (c->dsn_outbox)
		check_outbox(c);
	if (!listens)
		check_tls(c);
	check_sasl(c);
	check_names(c);
	if (c->maildir && c->faults.n == 0)
		check_postmaster(c);
	check_journal(c);
	return c->faults.n ? EX_CONFIG : 0;
}
