/* SPDX-License-Identifier: ISC */
/*
 * The engine's authenticator: tables of users, and sasl.so, which is loaded when the
 * first client logs in. A fault in a table or in the module affects only the logins that
 * need it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "edge/auth/auth.h"
#include "edge/file.h"
#include "edge/module.h"
#include "proto/address.h"

/* Returns the descriptor, or -EINVAL and a fault. */
static int open_secret(const char *path, struct buf *ret_fault)
{
	/* O_NONBLOCK: opening a FIFO must not wait for a writer */
	OWNED_FD int fd = file_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (credential_is_unset(path)) {
		credential_put_fault(ret_fault, path, SPAN(""));
	} else if (fd < 0 || fstat(fd, &st) < 0) {
		file_put_fault(ret_fault, path, fd < 0 ? -fd : errno, FILE_SECRET);
	} else if (!S_ISREG(st.st_mode)) {
		buf_put(ret_fault, SPAN("is not a regular file; name a file of at least "
					"32 random octets"));
	} else if (st.st_mode & S_IRWXO) {
		buf_put(ret_fault,
			SPAN("other users may read it or write to it, and it is "
			     "secret: chmod o= "));
		buf_put_str(ret_fault, path);
	} else {
		return steal_fd(&fd);
	}
	return -EINVAL;
}

static void put_length_fault(struct buf *to, const char *what, const char *path)
{
	buf_put_str(to, what);
	buf_put(to, SPAN("; make it: head -c 32 /dev/urandom >"));
	buf_put_str(to, path);
}

int secret_read(const char *path, struct span *ret, struct buf *ret_fault)
{
	OWNED_FD int fd = open_secret(path, ret_fault);
	OWNED char *text = NULL;
	ssize_t n = fd < 0 ? -EINVAL : file_read_open(fd, SECRET_MOST, &text);
	int r = -EINVAL;

	if (fd >= 0 && n == -EFBIG) {
		put_length_fault(ret_fault, "has more than 4096 octets", path);
	} else if (fd >= 0 && n < 0) {
		buf_put_str(ret_fault, strerror((int)-n));
	} else if (fd >= 0 &&
		   credential_is_placeholder((struct span){ text, (size_t)n })) {
		credential_put_fault(ret_fault, path, (struct span){ text, (size_t)n });
	} else if (fd >= 0 && n < SECRET_LEAST) {
		put_length_fault(ret_fault, "has less than 32 octets", path);
	} else if (fd >= 0) {
		*ret = (struct span){ steal(&text), (size_t)n };
		r = 0;
	}
	buf_terminate(ret_fault);
	return r;
}

static struct backend *of(struct authenticator *a)
{
	return (struct backend *)a;
}

static void report(void *ctx, const char *text)
{
	struct backend *l = ctx;

	log_error(l->log, text);
}

/*
 * Logs a fault once and replaces its text by a blank. True when there is or was a fault.
 */
static bool report_once(struct backend *l, char *fault)
{
	if (!fault[0])
		return false;
	if (fault[0] != ' ')
		report(l, fault);
	fault[0] = ' ';
	return true;
}

static void put_table_fault(struct backend_table *t, const char *why)
{
	snprintf(t->fault, sizeof(t->fault), "%s %s: %s", t->key, t->path, why);
}

static void open_table(struct backend_table *t, bool is_secret)
{
	char why[TABLE_FAULT_MAX];

	if (!t->path)
		return;
	if (table_open(t->path, is_secret, &t->table, why) < 0) {
		put_table_fault(t, why);
	} else if (table_is_empty(t->table)) {
		table_close(t->table);
		t->table = NULL;
		put_table_fault(t, TABLE_EMPTY);
	}
}

/* Reads the secret. Without it a client could find out which users exist. */
static void read_secret(struct backend *l, const char *path)
{
	char why[TABLE_FAULT_MAX];
	struct buf b = BUF(why);

	if (path && secret_read(path, &l->secret, &b) < 0)
		snprintf(l->users.fault, sizeof(l->users.fault), "auth-secret %s: %s",
			path, b.overflow ? "cannot be used" : why);
	l->settings.secret = l->secret;
}

static enum table_found find(void *ctx, struct span user, struct buf *ret_value)
{
	const struct backend *l = ctx;

	return table_find(l->users.table, user, ret_value);
}

static void count(void *ctx, struct span value)
{
	decoys_count(ctx, value);
}

static void add(struct buf *list, const char *mechanism)
{
	if (list->n)
		buf_put_char(list, ' ');
	buf_put_str(list, mechanism);
}

/*
 * Lists the mechanisms, preferred ones first. A mechanism that no user can use is
 * omitted, because clients try only the one that they prefer, which is often SCRAM.
 */
static void list_mechanisms(struct backend *l, const struct tls_client *client)
{
	bool has_users = l->users.path, is_broken = l->users.fault[0];
	struct buf list = BUF(l->list);

	if (l->settings.n_names ||
		(client && client->trusted && l->certificates.fault[0]))
		add(&list, SASL_EXTERNAL);
	if (has_users && !is_broken && decoys_scram(&l->settings.decoys)) {
		if (l->settings.binding.n)
			add(&list, SASL_SCRAM_PLUS);
		add(&list, SASL_SCRAM);
	}
	if (has_users) {
		add(&list, SASL_PLAIN);
		add(&list, SASL_LOGIN);
	}
	buf_terminate(&list);
}

_Static_assert(
	sizeof(SASL_EXTERNAL SASL_SCRAM_PLUS SASL_SCRAM SASL_PLAIN SASL_LOGIN) + 4 <=
		BACKEND_LIST_MAX,
	"all mechanisms, with blanks");
_Static_assert(TLS_CLIENT_NAMES_MAX <= SASL_NAMES_MAX, "all names of a certificate");

/*
 * Finds the user by the table of certificates, which replaces the names in certificates.
 */
static void find_owner(struct backend *l, const struct tls_client *client)
{
	struct buf owner = BUF(l->owner);
	enum table_found found;

	if (!l->certificates.table)
		return;
	found = table_find(l->certificates.table, span_of(client->fingerprint), &owner);
	if (found == TABLE_FOUND && owner.n && buf_terminate(&owner))
		l->settings.names[l->settings.n_names++] = l->owner;
	else if (found != TABLE_ABSENT)
		snprintf(l->certificates.fault, sizeof(l->certificates.fault),
			"auth-certificates: the user of %s cannot be read",
			client->fingerprint);
}

static void find_names(struct backend *l, const struct tls_client *client)
{
	l->settings.n_names = 0;
	if (!client || !client->trusted)
		return;
	if (l->certificates.path) {
		find_owner(l, client);
		return;
	}
	for (size_t i = 0; i < client->n_names; i++)
		l->settings.names[l->settings.n_names++] = client->names[i];
}

void backend_secured(struct backend *l, const struct tls_api *api, const struct tls *tls)
{
	const struct tls_client *client = api->client(tls);

	if (api->binding(tls, l->binding))
		l->settings.binding =
			(struct span){ (char *)l->binding, sizeof(l->binding) };
	if (l->users.table)
		table_sample(l->users.table, count, &l->settings.decoys);
	find_names(l, client);
	list_mechanisms(l, client);
}

void backend_missing(struct backend *l)
{
	l->fault[0] = ' ';
}

bool backend_lacks_table(const struct backend *l)
{
	return l->users.fault[0] || l->certificates.fault[0] || l->senders.fault[0];
}

bool backend_tried(const struct backend *l)
{
	return l->sasl || l->fault[0];
}

/*
 * Appends a cure only for a missing module. There is none for a closed sandbox, or for a
 * library that fails to initialise itself.
 */
static void put_fault(struct backend *l, const char *error)
{
	struct buf b = BUF(l->fault);

	buf_put(&b, SPAN("auth: "));
	if (l->api || l->shut)
		buf_put_str(&b, error);
	else
		module_put_fault(&b, l->modules, SASL_MODULE, error);
	if (!buf_terminate(&b))
		snprintf(l->fault, sizeof(l->fault), "auth: %.400s", error);
}

void backend_load(struct backend *l)
{
	const char *error = "out of memory";

	if (backend_tried(l))
		return;
	if (!l->api && l->shut)
		error = "a client that has sent mail inside TLS cannot log in any "
			"more: the sandbox does not allow loading the library";
	else if (!l->api)
		l->api = module_load(l->modules, SASL_MODULE, SASL_MODULE_TABLE, &error);
	l->sasl = l->api ? l->api->open(&l->settings) : NULL;
	if (!l->sasl)
		put_fault(l, error);
}

void backend_shut(struct backend *l)
{
	l->shut = true;
}

static const char *mechanisms(struct authenticator *a)
{
	return of(a)->list;
}

/* True when EHLO lists the mechanism; case is ignored. */
static bool is_listed(const struct backend *l, struct span mechanism)
{
	const char *word = l->list;

	while (*word) {
		size_t n = strcspn(word, " ");
		if (span_ieq(mechanism, (struct span){ word, n }))
			return true;
		word += n + (word[n] == ' ');
	}
	return false;
}

/* True when the mechanism is not listed only because its table has a fault. */
static bool lacks_table(const struct backend *l, struct span mechanism)
{
	if (span_ieq(mechanism, SPAN(SASL_EXTERNAL)))
		return l->certificates.fault[0];
	return l->users.fault[0] && (span_ieq(mechanism, SPAN(SASL_SCRAM)) ||
					    span_ieq(mechanism, SPAN(SASL_SCRAM_PLUS)));
}

static enum auth_result begin(struct authenticator *a, struct span mechanism)
{
	struct backend *l = of(a);
	bool is_external = span_ieq(mechanism, SPAN(SASL_EXTERNAL));

	if (!is_listed(l, mechanism) && !lacks_table(l, mechanism))
		return AUTH_UNKNOWN;
	if (report_once(l, is_external ? l->certificates.fault : l->users.fault))
		return AUTH_UNAVAILABLE;
	backend_load(l);
	if (report_once(l, l->fault) || !l->sasl)
		return AUTH_UNAVAILABLE;
	return l->api->begin(l->sasl, mechanism);
}

static enum auth_result step(
	struct authenticator *a, const struct span *response, struct buf *ret_challenge)
{
	return of(a)->api->step(of(a)->sasl, response, ret_challenge);
}

static const char *user(struct authenticator *a)
{
	return of(a)->sasl ? of(a)->api->user(of(a)->sasl) : "";
}

static void end(struct authenticator *a)
{
	if (of(a)->sasl)
		of(a)->api->end(of(a)->sasl);
}

/* Logs the fault once, and keeps it for the reply. */
static enum auth_sender fail_sender(struct backend *l, const char **ret_fault)
{
	if (!l->has_logged_senders)
		report(l, l->senders.fault);
	l->has_logged_senders = true;
	*ret_fault = l->senders.fault;
	return AUTH_SENDER_UNAVAILABLE;
}

static enum auth_sender sender(struct authenticator *a, const char *name,
	struct span address, const char **ret_fault)
{
	struct backend *l = of(a);
	char octets[TABLE_VALUE_MAX];
	struct buf list = BUF(octets);

	if (!l->senders.path)
		return AUTH_SENDER_FINE;
	if (!l->senders.table)
		return fail_sender(l, ret_fault);
	switch (table_find(l->senders.table, span_of(name), &list)) {
	case TABLE_FOUND:
		return senders_have(buf_span(&list), address) ? AUTH_SENDER_FINE
							      : AUTH_SENDER_FOREIGN;
	case TABLE_ABSENT:
		return AUTH_SENDER_FOREIGN;
	case TABLE_FAILED:
		break;
	}
	put_table_fault(&l->senders, "the table cannot be read");
	return fail_sender(l, ret_fault);
}

static void init(struct backend *l, const struct config *c)
{
	l->authenticator =
		(struct authenticator){ mechanisms, begin, step, user, end, sender };
	l->users = (struct backend_table){ .key = "auth-users", .path = c->auth_users };
	l->certificates = (struct backend_table){ .key = "auth-certificates",
		.path = c->auth_certificates };
	l->senders =
		(struct backend_table){ .key = "auth-senders", .path = c->auth_senders };
	l->settings.ctx = l;
	l->settings.find = find;
	l->settings.fault = report;
}

/* Shows a credential by its name in the settings, not by the path of systemd's copy. */
static void name_credentials(struct backend_table *t, const struct config *c)
{
	char shown[CONFIG_FAULT_MAX] = "";
	struct buf b = BUF(shown);

	config_show(c, t->fault, &b);
	if (!b.overflow)
		memcpy(t->fault, shown, b.n + 1);
}

struct backend *backend_new(struct config *c, const struct sasl_api *api,
	const char *modules, struct log *log)
{
	struct backend *l;

	if (c->session.auth == AUTH_OFF || !config_may_use_tls(c))
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	init(l, c);
	l->api = api;
	l->modules = modules;
	l->log = log;
	open_table(&l->users, true);
	open_table(&l->certificates, false);
	open_table(&l->senders, false);
	if (!l->users.fault[0])
		read_secret(l, c->auth_secret);
	name_credentials(&l->users, c);
	name_credentials(&l->certificates, c);
	name_credentials(&l->senders, c);
	c->session.authenticator = &l->authenticator;
	return l;
}

void backend_close_files(const struct backend *l)
{
	if (!l)
		return;
	table_close_file(l->users.table);
	table_close_file(l->certificates.table);
	table_close_file(l->senders.table);
}

void backend_free(struct backend *l)
{
	if (!l)
		return;
	if (l->sasl)
		l->api->close(l->sasl);
	table_close(l->users.table);
	table_close(l->certificates.table);
	table_close(l->senders.table);
	free((char *)l->secret.p);
	free(l);
}
