/*
 * Promises that a changed file counts from the next connection on, and that a broken
 * certificate costs no TLS while there is an older one. Refuses to keep anything that a
 * client has said.
 */
#include "bin/preload.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bin/options.h"

static int look_at(const char *path, struct stat *ret_st)
{
	return stat(path, ret_st) < 0 ? errno : 0;
}

void watch_add(struct watch *w, const char *path, bool is_place)
{
	struct watched_file *f = &w->files[w->n];

	if (!path || w->n == WATCH_MAX)
		return;
	w->n++;
	*f = (struct watched_file){ .path = path, .is_place = is_place };
	f->error = look_at(path, &f->st);
}

static bool has_changed(const struct watched_file *f)
{
	struct stat st;
	int error = look_at(f->path, &st);

	if (error || f->error)
		return error != f->error;
	if (st.st_dev != f->st.st_dev || st.st_ino != f->st.st_ino)
		return true;
	return !f->is_place &&
	       (st.st_size != f->st.st_size ||
		       memcmp(&st.st_mtim, &f->st.st_mtim, sizeof(st.st_mtim)) != 0 ||
		       memcmp(&st.st_ctim, &f->st.st_ctim, sizeof(st.st_ctim)) != 0);
}

bool watch_has_changed(const struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (has_changed(&w->files[i]))
			return true;
	return false;
}

/* "Is there" and "is not there" are answers; all else means that this process cannot know. */
static bool is_answer(int error)
{
	return error == 0 || error == ENOENT || error == ENOTDIR;
}

size_t watch_drop_hidden(struct watch *w)
{
	size_t n = w->n;
	struct stat st;

	w->n = 0;
	for (size_t i = 0; i < n; i++)
		if (is_answer(w->files[i].error) &&
			is_answer(look_at(w->files[i].path, &st)))
			w->files[w->n++] = w->files[i];
	return n - w->n;
}

static void report(const struct warm *w, const char *text)
{
	if (!w->repeated)
		w->report(w->ctx, text);
}

static void note_fault(void *ctx, const char *text)
{
	struct warm *w = ctx;
	char shown[CONFIG_FAULT_MAX];
	struct buf b = BUF(shown);

	config_show(w->config, text, &b);
	if (b.overflow)
		snprintf(shown, sizeof(shown), "%s", text);
	if (!w->fault[0])
		snprintf(w->fault, sizeof(w->fault), "%.*s", (int)sizeof(w->fault) - 1,
			shown);
	report(w, shown);
}

static bool some_client_may_use_tls(const struct warm *w)
{
	if (w->needs_tls)
		return true;
	return w->only_lmtp ? w->config->clients.may_use_tls
			    : config_may_use_tls(w->config);
}

static void watch_pairs(struct watch *w, const struct tls_settings *tls)
{
	for (size_t i = 0; i < tls->n_pairs; i++) {
		watch_add(w, tls->pairs[i].certificate, false);
		if (strcmp(tls->pairs[i].key, tls->pairs[i].certificate) != 0)
			watch_add(w, tls->pairs[i].key, false);
	}
}

/* Before they are read: what changes meanwhile is read once more. */
static void watch_all(struct warm *w)
{
	const struct config *c = w->config;
	const char *const files[] = { w->options->file, c->clients_file, c->tls.tickets,
		c->tls.client_ca, c->recipients_file, c->auth_users, c->auth_secret,
		c->auth_certificates, c->auth_senders };

	snprintf(w->tls_module, sizeof(w->tls_module), "%s/" TLS_MODULE, w->modules);
	w->watch.n = 0;
	if (!w->api && some_client_may_use_tls(w))
		watch_add(&w->watch, w->tls_module, false);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		watch_add(&w->watch, files[i], false);
	watch_pairs(&w->watch, &c->tls);
}

static void drop_config(struct config **config)
{
	if (*config)
		config_done(*config);
	free(*config);
	*config = NULL;
}

/* Loads the module, if that has not been done. */
static void load_tls(struct warm *w)
{
	char text[CONFIG_FAULT_MAX],
		why[CONFIG_FAULT_MAX - sizeof("TLS does not work: ")];
	struct buf b = BUF(why);
	const char *error;

	if (!w->api)
		w->api = module_load_whole(
			w->modules, TLS_MODULE, TLS_MODULE_TABLE, &error);
	if (w->api)
		return;
	module_put_fault(&b, w->modules, TLS_MODULE, error);
	snprintf(w->fault, sizeof(w->fault), "%.*s", (int)sizeof(w->fault) - 1,
		b.overflow ? error : why);
	snprintf(text, sizeof(text), "TLS does not work: %s", b.overflow ? error : why);
	report(w, text);
}

/* The old ones stay where the new ones cannot be used. */
static void load_credentials(struct warm *w)
{
	const struct tls_report report = { .ctx = w, .fault = note_fault };
	struct tls_credentials *fresh;

	w->fault[0] = '\0';
	if (!some_client_may_use_tls(w))
		return;
	load_tls(w);
	if (!w->api || w->api->load(&w->config->tls, &report, &fresh) < 0)
		return;
	if (w->credentials)
		w->api->unload(w->credentials);
	if (w->lent != w->config)
		drop_config(&w->lent);
	w->credentials = fresh;
	w->lent = w->config;
}

/* A submission socket requires a login, whatever the settings say of the other sockets. */
static bool may_log_in(const struct config *c)
{
	return c->session.auth != AUTH_OFF || c->auth_users || c->auth_certificates ||
	       c->tls.client_ca;
}

static void load_sasl(struct warm *w)
{
	char text[CONFIG_FAULT_MAX], why[CONFIG_FAULT_MAX - sizeof("auth: ")];
	struct buf b = BUF(why);
	const char *error;

	w->sasl_failed = false;
	if (w->sasl || !w->api || !may_log_in(w->config))
		return;
	w->sasl = module_load(w->modules, SASL_MODULE, SASL_MODULE_TABLE, &error);
	w->sasl_failed = !w->sasl;
	if (w->sasl)
		return;
	module_put_fault(&b, w->modules, SASL_MODULE, error);
	snprintf(text, sizeof(text), "auth: %s", b.overflow ? error : why);
	report(w, text);
}

/* Any client may send an address that needs them. A connection that does reports where they are missing. */
static void load_names(struct warm *w)
{
	const char *error;

	if (w->api)
		w->names = w->api->names;
	else if (!w->names)
		w->names = module_load_whole(
			w->modules, IDN_MODULE, IDN_MODULE_TABLE, &error);
}

static void ignore(void *ctx, const char *fault)
{
	(void)ctx, (void)fault;
}

int warm_up(struct warm *w)
{
	struct config *config = malloc(sizeof(*config));

	if (!config)
		return -ENOMEM;
	if (w->lent != w->config)
		drop_config(&w->config);
	w->config = config;
	/* what is wrong there whoever accepts connections tells */
	config_init(config, w->credentials_directory, ignore, NULL);
	/* the rules for clients say whether some of them use TLS */
	options_load(w->options, config, false);
	watch_all(w);
	load_credentials(w);
	load_names(w);
	load_sasl(w);
	return 0;
}

/* What the settings may need is then not known: nothing that they name was loaded. */
static bool is_unread(const struct config *c)
{
	return c->unread || (c->clients_file && !c->clients.text);
}

bool warm_has_failed(const struct warm *w)
{
	return w->fault[0] || w->sasl_failed || is_unread(w->config);
}

int warm_up_again(struct warm *w)
{
	char before[TLS_FAULT_TEXT];
	int r;

	memcpy(before, w->fault, sizeof(before));
	w->repeated = true;
	r = warm_up(w);
	w->repeated = false;
	if (w->fault[0] && strcmp(before, w->fault) != 0)
		w->report(w->ctx, w->fault);
	return r;
}

bool warm_is_stuck(const struct warm *w)
{
	return w->fault[0] && w->api && !w->api->is_initialised();
}

bool warm_is_stale(const struct warm *w)
{
	return watch_has_changed(&w->watch);
}

bool warm_is_complete(const struct warm *w, const struct config *c)
{
	if (!w->names)
		return false;
	return !config_may_use_tls(c) || (w->api && (w->sasl || !may_log_in(c)));
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* But for the priority string. */
static bool are_same(const struct tls_settings *ours, const struct tls_settings *settings)
{
	if (ours->n_pairs != settings->n_pairs ||
		!is_same(ours->tickets, settings->tickets) ||
		!is_same(ours->client_ca, settings->client_ca) ||
		!is_same(ours->hostname, settings->hostname))
		return false;
	for (size_t i = 0; i < ours->n_pairs; i++)
		if (!is_same(
			    ours->pairs[i].certificate, settings->pairs[i].certificate) ||
			!is_same(ours->pairs[i].key, settings->pairs[i].key))
			return false;
	return true;
}

bool warm_fits(const struct warm *w, const struct tls_settings *settings)
{
	return w->credentials && are_same(&w->lent->tls, settings);
}

bool warm_has_priority(const struct warm *w, const struct tls_settings *settings)
{
	return is_same(w->lent->tls.priority, settings->priority);
}

bool warm_failed(const struct warm *w, const struct tls_settings *settings)
{
	const struct tls_settings *ours = &w->config->tls;

	return warm_tls_fault(w) &&
	       (!w->api || (are_same(ours, settings) &&
				   is_same(ours->priority, settings->priority)));
}

const char *warm_tls_fault(const struct warm *w)
{
	return w->credentials || !w->fault[0] ? NULL : w->fault;
}
