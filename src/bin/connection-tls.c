/* SPDX-License-Identifier: ISC */
/*
 * A connection's TLS: the key agent that has its private keys, if there is one, and the
 * credentials. The listener has loaded them, or the connection does so when TLS is first
 * needed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bin/connection.h"
#include "bin/preload.h"
#include "edge/keys/keys.h"
#include "edge/module.h"

/* The access to the agent that has the private keys; NULL: this process has them. */
static struct keys *keys_of(struct connection *c)
{
	if (c->preload)
		return c->preload->keys;
	return c->config.tls.agent ? &c->agent : NULL;
}

void connection_close_keys(struct connection *c)
{
	struct keys *keys = keys_of(c);

	if (!keys || keys->channel < 0)
		return;
	close(keys->channel);
	keys->channel = -ECONNRESET;
}

void connection_heed_signals(struct connection *c)
{
	struct keys *keys = keys_of(c);

	c->broker.signals = c->stream.signals;
	if (keys)
		keys->signals = c->stream.signals;
}

/* Keeps the first fault, for the record. */
static void keep_tls_fault(void *ctx, const char *text)
{
	struct connection *c = ctx;
	struct buf b = BUF(c->tls_fault);

	if (c->tls_fault[0])
		return;
	config_show(&c->config, text, &b);
	c->tls_fault[sizeof(c->tls_fault) - 1] = '\0';
}

/* True when there is access to private keys. Without it no TLS is offered. */
static bool has_keys(struct connection *c)
{
	struct keys *keys = keys_of(c);
	char text[CONFIG_FAULT_MAX];

	if (!keys || keys->channel >= 0)
		return true;
	snprintf(text, sizeof(text), "tls-key: %s", keys_error(keys->channel));
	keep_tls_fault(c, text);
	return false;
}

/*
 * Uses the credentials that the listener loaded. This process has its own copy of them,
 * and may change it.
 */
static bool use_preloaded(struct connection *c)
{
	const struct tls_report report = { .ctx = c, .fault = keep_tls_fault };
	const struct tls_settings *tls = &c->config.tls;
	struct tls_credentials *credentials = c->preload->credentials;

	c->tls_api = c->preload->api;
	if (!has_keys(c))
		return false;
	memcpy(c->tls_fault, c->preload->fault, sizeof(c->tls_fault));
	if (!preload_has_priority(c->preload, tls)) {
		int r = c->tls_api->prioritize(credentials, tls->priority, &report);
		if (r == -ENOMEM)
			keep_tls_fault(c, "out of memory");
		if (r < 0)
			return false;
	}
	c->credentials = credentials;
	return true;
}

/* Closes the files of credentials, which have been read or are unusable. */
static void close_opened(struct tls_settings *tls)
{
	for (size_t i = 0; i < tls->n_opened; i++)
		if (tls->opened[i].fd >= 0)
			close(tls->opened[i].fd);
	tls->n_opened = 0;
}

static void keep_module_fault(struct connection *c, const char *error)
{
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	module_put_fault(&b, c->modules, TLS_MODULE, error);
	keep_tls_fault(c, b.overflow ? error : text);
}

static void load_tls(struct connection *c)
{
	const struct tls_report report = { .ctx = c, .fault = keep_tls_fault };
	const char *error = "";

	if (!has_keys(c))
		return;
	c->config.tls.keys = keys_of(c);
	if (!c->tls_api)
		c->tls_api =
			module_load(c->modules, TLS_MODULE, TLS_MODULE_TABLE, &error);
	if (!c->tls_api)
		keep_module_fault(c, error);
	else if (c->tls_api->load(&c->config.tls, &report, &c->credentials) < 0)
		keep_tls_fault(c, "out of memory");
}

bool connection_load_tls(struct connection *c)
{
	/* only once, because the files are then closed, and are outside of the sandbox */
	if (c->tls_tried)
		return c->credentials;
	c->tls_tried = true;
	c->tls_fault[0] = '\0';
	if (c->preload && preload_fits(c->preload, &c->config))
		use_preloaded(c);
	else if (c->preload && preload_failed(c->preload, &c->config.tls))
		snprintf(c->tls_fault, sizeof(c->tls_fault), "%s", c->preload->fault);
	else if (c->preload && preload_keeps_keys(c->preload, &c->config))
		keep_tls_fault(c, "the settings of TLS have just been changed, and "
				  "will be in use in a moment");
	else
		load_tls(c);
	close_opened(&c->config.tls);
	session_tls_fault(&c->session, c->tls_fault);
	return c->credentials;
}
