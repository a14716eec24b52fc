/* SPDX-License-Identifier: ISC */
/*
 * Loads modules and credentials before there is a client, and detects changes of files.
 * If new credentials are unusable, the previous ones stay in use.
 */
#include "bin/preload.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "bin/options.h"
#include "edge/file.h"
#include "edge/sandbox/sandbox.h"

/* Examines a file; as the owner of its directory, where this is denied to root. */
static int look_at(const char *path, struct stat *ret_st)
{
	OWNED_FD int above = -1;
	const char *name;
	bool is_open;
	int error = stat(path, ret_st) < 0 ? errno : 0;

	if (error != EACCES || !owner_may_become())
		return error;
	above = file_open_above(path, &name, &is_open);
	if (above < 0 || owner_enter(above) < 0)
		return error;
	error = fstatat(above, name, ret_st, 0) < 0 ? errno : 0;
	owner_leave();
	return error;
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

/*
 * True for a result that depends on the file. With any other error this process has no
 * right to examine it.
 */
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

static void report(const struct preload *p, const char *text)
{
	if (!p->repeated)
		p->report(p->ctx, text);
}

static void note_fault(void *ctx, const char *text)
{
	struct preload *p = ctx;
	char shown[CONFIG_FAULT_MAX];
	struct buf b = BUF(shown);

	config_show(p->config, text, &b);
	if (b.overflow)
		snprintf(shown, sizeof(shown), "%s", text);
	if (!p->fault[0])
		snprintf(p->fault, sizeof(p->fault), "%.*s", (int)sizeof(p->fault) - 1,
			shown);
	report(p, shown);
}

static bool some_client_may_use_tls(const struct preload *p)
{
	if (p->needs_tls)
		return true;
	return p->only_lmtp ? p->config->clients.may_use_tls
			    : config_may_use_tls(p->config);
}

static void drop_pins(struct preload *p)
{
	while (p->n_pins)
		free(p->pins[--p->n_pins]);
}

/* Watches the file of the PIN, if the token has one. */
static void watch_token(struct preload *p, const char *key)
{
	const struct span path = tls_pin_file(key);
	char *pin = path.n ? strndup(path.p, path.n) : NULL;

	if (!pin)
		return;
	p->pins[p->n_pins++] = pin;
	watch_add(&p->watch, pin, false);
}

static void watch_pairs(struct preload *p, const struct tls_settings *tls)
{
	for (size_t i = 0; i < tls->n_pairs; i++) {
		const struct tls_pair *pair = &tls->pairs[i];
		watch_add(&p->watch, pair->certificate, false);
		if (tls_is_token(pair->key))
			watch_token(p, pair->key);
		else if (strcmp(pair->key, pair->certificate) != 0)
			watch_add(&p->watch, pair->key, false);
	}
}

static void watch_settings(void *ctx, const char *path)
{
	struct preload *p = ctx;

	watch_add(&p->watch, path, false);
}

/* Loads the settings, and watches their files from before they are read. */
static void load_settings(struct preload *p)
{
	struct settings_source from;

	options_source(p->options, &from);
	from.before_reading = watch_settings;
	from.ctx = p;
	p->watch.n = 0;
	drop_pins(p);
	/* the rules for clients decide whether some of them use TLS */
	settings_load(p->config, &from);
	config_complete(p->config);
}

/*
 * Watches the files that the settings name. Called before they are read, so that a change
 * in between is detected.
 */
static void watch_named(struct preload *p)
{
	const struct config *c = p->config;
	const char *const files[] = { c->tls.tickets, c->tls.client_ca,
		c->recipients_file, c->milters, c->auth_users, c->auth_secret,
		c->auth_certificates, c->auth_senders };

	snprintf(p->tls_module, sizeof(p->tls_module), "%s/" TLS_MODULE, p->modules);
	if (!p->api && some_client_may_use_tls(p))
		watch_add(&p->watch, p->tls_module, false);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		watch_add(&p->watch, files[i], false);
	watch_pairs(p, &c->tls);
	/* an acceptor that has given up root may not be able to read the directory */
	if (c->log == LOG_JSON && !c->user && geteuid() == 0)
		watch_add(&p->watch, c->log_file, true);
}

static void drop_config(struct config **config)
{
	if (*config)
		config_done(*config);
	free(*config);
	*config = NULL;
}

/* After such an error glibc cannot load this library in this process again. */
static bool is_without_memory(const char *error)
{
	return strstr(error, strerror(ENOMEM)) || strstr(error, "out of memory");
}

/* Loads the TLS module, if it is not loaded. */
static void load_tls(struct preload *p)
{
	char text[CONFIG_FAULT_MAX],
		why[CONFIG_FAULT_MAX - sizeof("TLS does not work: ")];
	struct buf b = BUF(why);
	const char *error = "";

	if (!p->api)
		p->api = module_load_whole(
			p->modules, TLS_MODULE, TLS_MODULE_TABLE, &error);
	if (p->api)
		return;
	p->no_memory |= is_without_memory(error);
	module_put_fault(&b, p->modules, TLS_MODULE, error);
	snprintf(p->fault, sizeof(p->fault), "%.*s", (int)sizeof(p->fault) - 1,
		b.overflow ? error : why);
	snprintf(text, sizeof(text), "TLS does not work: %s", b.overflow ? error : why);
	report(p, text);
}

/* Agents that were started for credentials, and this process's own channel to one. */
struct fresh_agents {
	struct keys_agents agents;
	struct keys *keys; /* NULL: none were started */
};

static void drop_agents(struct keys_agents *agents, struct keys **keys)
{
	keys_leave(agents);
	if (*keys && (*keys)->channel >= 0)
		close((*keys)->channel);
	free(*keys);
	*keys = NULL;
}

/* Connects a process for one connection to the agent of tls-key. */
static int connect_agent(struct preload *p, struct fresh_agents *ret)
{
	ret->keys = malloc(sizeof(*ret->keys));
	if (!ret->keys)
		return -ENOMEM;
	*ret->keys = (struct keys){ keys_connect(p->config->tls.agent), .signals = -1 };
	return ret->keys->channel;
}

/* Starts the agents of a listener, from which it gets the certificates. */
static int start_agents(struct preload *p, struct fresh_agents *ret)
{
	const struct config *c = p->config;
	const struct ip self = { 0 };
	int r;

	ret->keys = malloc(sizeof(*ret->keys));
	if (!ret->keys)
		return -ENOMEM;
	*ret->keys = (struct keys){ -ECONNRESET, .signals = -1 };
	r = keys_start(&ret->agents, p->api, &c->tls, c->sandbox, p->from);
	if (r == 0)
		ret->keys->channel = keys_open(&ret->agents, &self);
	return r < 0 ? r : ret->keys->channel;
}

/* Starts agents if the settings require them. False: this failed, and was reported. */
static bool prepare_keys(struct preload *p, struct fresh_agents *ret)
{
	const char *agent = p->config->tls.agent;
	char text[CONFIG_FAULT_MAX];
	int r = 0;

	*ret = (struct fresh_agents){ .keys = NULL };
	if (p->from && agent) {
		note_fault(p, PRELOAD_OTHER_AGENT);
		return false;
	}
	if (agent)
		r = connect_agent(p, ret);
	else if (p->from && (p->config->tls_key_agent || p->only_keys))
		r = start_agents(p, ret);
	if (r >= 0)
		return true;
	snprintf(text, sizeof(text), "tls-key: the key agent cannot be %s: %s",
		agent ? "reached" : "started", agent ? keys_error(r) : strerror(-r));
	note_fault(p, text);
	return false;
}

/* Replaces the previous credentials by the new ones. */
static void replace_credentials(
	struct preload *p, struct tls_credentials *fresh, struct fresh_agents *agents)
{
	if (p->credentials)
		p->api->unload(p->credentials);
	drop_agents(&p->agents, &p->keys);
	if (p->lent != p->config)
		drop_config(&p->lent);
	p->credentials = fresh;
	p->agents = agents->agents;
	p->keys = agents->keys;
	p->lent = p->config;
	/* each connection of a listener gets a channel of its own */
	if (p->from && p->keys) {
		close(p->keys->channel);
		p->keys->channel = -ECONNRESET;
	}
}

/* Loads the credentials. If the new ones are unusable, the previous ones stay in use. */
static void load_credentials(struct preload *p)
{
	const struct tls_report report = {
		.ctx = p, .fault = note_fault, .ret_pin_refused = &p->pin_refused
	};
	struct tls_credentials *fresh;
	struct tls_settings settings;
	struct fresh_agents agents;

	p->fault[0] = '\0';
	p->pin_refused = false;
	if (!some_client_may_use_tls(p))
		return;
	load_tls(p);
	if (!p->api)
		return;
	settings = p->config->tls;
	if (prepare_keys(p, &agents)) {
		settings.keys = agents.keys;
		if (p->api->load(&settings, &report, &fresh) == 0) {
			replace_credentials(p, fresh, &agents);
			return;
		}
	}
	drop_agents(&agents.agents, &agents.keys);
}

bool preload_lacks_agents(const struct preload *p)
{
	return keys_have_ended(&p->agents);
}

/* Also true when only a submission socket could require a login. */
static bool may_log_in(const struct config *c)
{
	return c->session.auth != AUTH_OFF || c->auth_users || c->auth_certificates ||
	       c->tls.client_ca;
}

static void load_sasl(struct preload *p)
{
	char text[CONFIG_FAULT_MAX], why[CONFIG_FAULT_MAX - sizeof("auth: ")];
	struct buf b = BUF(why);
	const char *error;

	p->sasl_failed = false;
	if (p->sasl || !p->api || !may_log_in(p->config))
		return;
	p->sasl = module_load(p->modules, SASL_MODULE, SASL_MODULE_TABLE, &error);
	p->sasl_failed = !p->sasl;
	if (p->sasl)
		return;
	p->no_memory |= is_without_memory(error);
	module_put_fault(&b, p->modules, SASL_MODULE, error);
	snprintf(text, sizeof(text), "auth: %s", b.overflow ? error : why);
	report(p, text);
}

/*
 * Loads idn.so, because any client may send an address that needs it. Connections report
 * that it is missing.
 */
static void load_names(struct preload *p)
{
	const char *error;

	if (p->api)
		p->names = p->api->names;
	else if (!p->names)
		p->names = module_load_whole(
			p->modules, IDN_MODULE, IDN_MODULE_TABLE, &error);
}

int preload_load(struct preload *p)
{
	struct config *config = malloc(sizeof(*config));

	if (!config)
		return -ENOMEM;
	if (p->lent != p->config)
		drop_config(&p->config);
	p->config = config;
	/* connections that are prepared with these settings report their faults */
	config_init(config, p->credentials_directory, NULL, NULL);
	load_settings(p);
	watch_named(p);
	load_credentials(p);
	if (!p->only_keys) {
		load_names(p);
		load_sasl(p);
	}
	return 0;
}

/* True when a settings file could not be read, so that its files were not loaded. */
static bool is_unread(const struct config *c)
{
	return c->unread || c->no_memory || (c->clients_file && !c->clients.text);
}

bool preload_has_failed(const struct preload *p)
{
	return (p->fault[0] && !p->pin_refused) || p->sasl_failed || is_unread(p->config);
}

bool preload_awaits_change(const struct preload *p)
{
	return p->pin_refused;
}

static int retry(struct preload *p)
{
	char before[TLS_FAULT_TEXT];
	int r;

	memcpy(before, p->fault, sizeof(before));
	p->repeated = true;
	r = preload_load(p);
	p->repeated = false;
	if (p->fault[0] && strcmp(before, p->fault) != 0)
		p->report(p->ctx, p->fault);
	return r;
}

int preload_refresh(struct preload *p)
{
	bool lacks = preload_lacks_agents(p) && !preload_awaits_change(p);

	if (preload_is_stale(p) || (lacks && !p->fault[0]))
		return preload_load(p);
	return lacks || preload_has_failed(p) ? retry(p) : 0;
}

const char *preload_stuck(const struct preload *p)
{
	if (p->no_memory && (p->fault[0] || p->sasl_failed))
		return "a library could not be loaded, as memory was short";
	if (p->fault[0] && p->api && !p->api->is_initialised())
		return "GnuTLS could not be initialised";
	return NULL;
}

bool preload_is_stale(const struct preload *p)
{
	return watch_has_changed(&p->watch);
}

bool preload_is_complete(const struct preload *p, const struct config *c)
{
	if (!p->names)
		return false;
	return !config_may_use_tls(c) || (p->api && (p->sasl || !may_log_in(c)));
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* True when everything except the priority string is equal. */
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

bool preload_has_priority(const struct preload *p, const struct tls_settings *settings)
{
	return is_same(p->lent->tls.priority, settings->priority);
}

bool preload_failed(const struct preload *p, const struct tls_settings *settings)
{
	const struct tls_settings *ours = &p->config->tls;

	return preload_tls_fault(p) &&
	       (!p->api || (are_same(ours, settings) &&
				   is_same(ours->priority, settings->priority)));
}

bool preload_keeps_keys(const struct preload *p, const struct config *c)
{
	return p->from && c->tls_key_agent;
}

bool preload_fits(const struct preload *p, const struct config *c)
{
	return p->credentials &&
	       (are_same(&p->lent->tls, &c->tls) ||
		       (preload_keeps_keys(p, c) && !preload_failed(p, &c->tls)));
}

const char *preload_tls_fault(const struct preload *p)
{
	return p->credentials || !p->fault[0] ? NULL : p->fault;
}
