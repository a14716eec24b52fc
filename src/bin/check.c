/* Promises to look with the rights that a connection will have; changes nothing. */
#include "bin/check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include "edge/idn.h"
#include "edge/module.h"
#include "edge/sandbox.h"
#include "proto/utf8.h"

static void put_fault(void *ctx, const char *text)
{
	struct config *c = ctx;

	c->report(c->ctx, text);
	c->n_faults++;
}

static void put_named(
	struct config *c, const char *key, const char *value, const char *what)
{
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "%s %s: %s", key, value, what);
	put_fault(c, text);
}

static void check_user(struct config *c)
{
	int r = c->user ? sandbox_user(c->user) : 0;

	if (r == -ENOENT)
		put_named(c, "user", c->user, "no such user");
	else if (r < 0)
		put_named(c, "user", c->user, strerror(-r));
}

/* A directory that can be written to; one that is missing may still be created on
 * delivery. */
static void check_mail_root(struct config *c)
{
	struct stat st;

	if (stat(c->mail_root, &st) < 0) {
		if (errno != ENOENT || c->maildir_create != CREATE_YES)
			put_named(c, "mail-root", c->mail_root, strerror(errno));
	} else if (!S_ISDIR(st.st_mode)) {
		put_named(c, "mail-root", c->mail_root, "is not a directory");
	} else if (faccessat(AT_FDCWD, c->mail_root, R_OK | W_OK | X_OK, AT_EACCESS) <
		   0) {
		put_named(c, "mail-root", c->mail_root, strerror(errno));
	}
}

/* The module's table, or NULL and a fault. */
static const void *load(
	struct config *c, const char *feature, const char *file, const char *name)
{
	char modules[MODULE_PATH_MAX];
	struct buf directory = BUF(modules);
	const char *error;
	const void *table;

	module_directory(&directory);
	table = module_load(modules, file, name, &error);
	if (!table)
		put_named(c, feature, "module", error);
	return table;
}

static void check_tls(struct config *c)
{
	const struct tls_report report = { .ctx = c, .fault = put_fault };
	const struct tls_api *api;

	if (c->session.tls == TLS_OFF)
		return;
	api = load(c, "tls", TLS_MODULE, TLS_MODULE_TABLE);
	if (api)
		api->check(&c->tls, &report);
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
}

int check(struct config *c)
{
	check_user(c);
	if (c->maildir)
		check_mail_root(c);
	check_tls(c);
	check_names(c);
	return c->n_faults ? EX_CONFIG : 0;
}
