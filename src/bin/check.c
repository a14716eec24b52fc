/* Promises to look with the rights that a connection will have; changes nothing. */
#include "bin/check.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/module.h"
#include "edge/sandbox.h"

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

/* What keeps us from writing in the directory; NULL: nothing. */
static const char *directory_fault(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return strerror(errno);
	if (!S_ISDIR(st.st_mode))
		return "is not a directory";
	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return strerror(errno);
	return NULL;
}

static void check_directory(struct config *c, const char *key, const char *path)
{
	const char *fault = directory_fault(path);

	if (fault)
		put_named(c, key, path, fault);
}

static bool is_missing(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 && errno == ENOENT;
}

/* One that is missing may still be created on delivery. */
static void check_mail_root(struct config *c)
{
	if (c->maildir_create != CREATE_YES || !is_missing(c->mail_root))
		check_directory(c, "mail-root", c->mail_root);
}

/* One that is missing is made by the next connection, if it can be. */
static void check_outbox(struct config *c)
{
	const char *path = c->dsn_outbox;
	OWNED char *copy = strdup(path);
	OWNED char *inside = NULL;

	if (copy && is_missing(path)) {
		check_directory(c, "dsn-outbox", dirname(copy));
		return;
	}
	check_directory(c, "dsn-outbox", path);
	if (!directory_fault(path) && asprintf(&inside, "%s/new", path) >= 0 &&
		!is_missing(inside))
		check_directory(c, "dsn-outbox", inside);
}

static void check_tls(struct config *c)
{
	const struct tls_report report = { .ctx = c, .fault = put_fault };
	char modules[MODULE_PATH_MAX];
	struct buf directory = BUF(modules);
	const struct tls_api *api;
	const char *error;

	if (c->session.tls == TLS_OFF)
		return;
	module_directory(&directory);
	api = module_load(modules, TLS_MODULE, TLS_MODULE_TABLE, &error);
	if (!api)
		put_named(c, "tls", "module", error);
	else
		api->check(&c->tls, &report);
}

int check(struct config *c)
{
	check_user(c);
	if (c->maildir)
		check_mail_root(c);
	if (c->dsn_outbox)
		check_outbox(c);
	check_tls(c);
	return c->n_faults ? EX_CONFIG : 0;
}
