/*
 * Promises that a changed file counts from the next connection on, and that a broken
 * certificate costs no TLS while there is an older one. Refuses to keep anything that a
 * client has said.
 */
#include "bin/warm.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bin/options.h"
#include "edge/module.h"

static void note_fault(void *ctx, const char *text)
{
	struct warm *w = ctx;

	if (!w->fault[0])
		snprintf(w->fault, sizeof(w->fault), "%s", text);
	w->report(w->ctx, text);
}

static void watch(struct warm *w, const char *path, bool is_place)
{
	struct warm_file *f = &w->files[w->n_files];

	if (!path || w->n_files == WARM_FILES_MAX)
		return;
	w->n_files++;
	*f = (struct warm_file){ .path = path, .place = is_place };
	f->there = stat(path, &f->st) == 0;
}

static void watch_pairs(struct warm *w, const struct tls_settings *tls)
{
	for (size_t i = 0; i < tls->n_pairs; i++) {
		watch(w, tls->pairs[i].certificate, false);
		if (strcmp(tls->pairs[i].key, tls->pairs[i].certificate) != 0)
			watch(w, tls->pairs[i].key, false);
	}
}

/* Before they are read: what changes meanwhile is read once more. */
static void watch_all(struct warm *w)
{
	const struct config *c = w->config;
	const char *const files[] = { w->options->file, c->clients_file, c->tls.tickets,
		c->tls.client_ca, c->recipients_file, c->auth_users, c->auth_secret,
		c->auth_certificates, c->auth_senders };
	const char *const places[] = { c->mail_root, c->dsn_outbox, c->trace_directory,
		c->log == LOG_JSON ? c->log_file : NULL };

	w->n_files = 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		watch(w, files[i], false);
	watch_pairs(w, &c->tls);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		watch(w, places[i], true);
}

/* Anything that can be seen of a file without reading it. */
static bool is_changed(const struct warm_file *f)
{
	struct stat st;
	bool there = stat(f->path, &st) == 0;

	if (!there || !f->there)
		return there != f->there;
	if (st.st_dev != f->st.st_dev || st.st_ino != f->st.st_ino)
		return true;
	return !f->place &&
	       (st.st_size != f->st.st_size ||
		       memcmp(&st.st_mtim, &f->st.st_mtim, sizeof(st.st_mtim)) != 0 ||
		       memcmp(&st.st_ctim, &f->st.st_ctim, sizeof(st.st_ctim)) != 0);
}

static void drop_config(struct config **config)
{
	if (*config)
		config_done(*config);
	free(*config);
	*config = NULL;
}

/* The old ones stay where the new ones cannot be used. */
static void load_credentials(struct warm *w)
{
	const struct tls_report report = { .ctx = w, .fault = note_fault };
	struct tls_credentials *fresh;
	const char *error = NULL;

	w->fault[0] = '\0';
	if (!config_may_use_tls(w->config))
		return;
	if (!w->api)
		w->api = module_load_whole(
			w->modules, TLS_MODULE, TLS_MODULE_TABLE, &error);
	if (!w->api)
		note_fault(w, error);
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

/* Who cannot use it tells why. */
static void load_sasl(struct warm *w)
{
	const char *error;

	if (!w->sasl && w->api && may_log_in(w->config))
		w->sasl = module_load(w->modules, SASL_MODULE, SASL_MODULE_TABLE, &error);
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
	options_read_config(w->options, config);
	/* whether some of them use TLS */
	if (config->clients_file)
		clients_read(&config->clients, config->clients_file, ignore, NULL);
	watch_all(w);
	load_credentials(w);
	load_sasl(w);
	return 0;
}

bool warm_is_stale(const struct warm *w)
{
	for (size_t i = 0; i < w->n_files; i++)
		if (is_changed(&w->files[i]))
			return true;
	return false;
}

bool warm_is_complete(const struct warm *w)
{
	return w->api && (w->sasl || !may_log_in(w->config));
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool warm_fits(const struct warm *w, const struct tls_settings *settings)
{
	const struct tls_settings *ours;

	if (!w->credentials)
		return false;
	ours = &w->lent->tls;
	if (ours->n_pairs != settings->n_pairs ||
		!is_same(ours->priority, settings->priority) ||
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
