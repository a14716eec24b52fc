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

	w->watch.n = 0;
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

/* Who cannot use it tells why. */
static void load_sasl(struct warm *w)
{
	const char *error;

	if (!w->sasl && w->api && w->config->session.auth != AUTH_OFF)
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
	return watch_has_changed(&w->watch);
}

bool warm_is_complete(const struct warm *w)
{
	return w->api && (w->sasl || w->config->session.auth == AUTH_OFF);
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
