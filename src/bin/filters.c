/* SPDX-License-Identifier: ISC */
/*
 * The filters of a connection. Mail is never received without the filters that are set:
 * what cannot be loaded or read makes the connection unusable.
 */
#include "bin/filters.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "bin/connection.h"
#include "edge/milter/milter.h"

static void put_fault(void *ctx, const char *text)
{
	struct connection *c = ctx;

	log_error(&c->log, text);
}

static void module_failed(struct connection *c, const char *error)
{
	char text[2 * CONFIG_FAULT_MAX], why[CONFIG_FAULT_MAX];
	struct buf b = BUF(why);

	module_put_fault(&b, c->modules, MILTER_MODULE, error);
	snprintf(text, sizeof(text), "milters %s: %s", c->config.milters,
		b.overflow ? error : why);
	log_error(&c->log, text);
}

/* The stages that deliver: maildir, and what is behind it. */
static size_t first_delivery(const struct connection *c)
{
	size_t i = 0;

	while (c->stages[i] != &c->maildir.stage)
		i++;
	return i;
}

static struct stage *open_stage(struct connection *c, struct filters *f)
{
	size_t first = first_delivery(c);
	size_t n = c->n_stages - first;
	const struct milter_host host = {
		.path = c->config.milters,
		.session = &c->session,
		.reply = reply_get,
		.delivery = { f->delivery, n },
		.report = { .ctx = c, .fault = put_fault },
	};

	/* the stage of the filters takes the place of these */
	memcpy(f->delivery, c->stages + first, n * sizeof(*f->delivery));
	return f->api->open(&host, &f->text);
}

int filters_open(struct connection *c)
{
	OWNED struct filters *f = NULL;
	const char *error;

	if (c->preload && c->preload != c->own_preload) {
		log_error(&c->log, "milters: not with --listen: use one process for each "
				   "connection, as the units postern.socket do");
		return -EOPNOTSUPP;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return connection_failed(c, "milters", c->config.milters, -ENOMEM);
	f->api = module_load(c->modules, MILTER_MODULE, MILTER_MODULE_TABLE, &error);
	if (!f->api) {
		module_failed(c, error);
		return -ELIBACC;
	}
	f->stage = open_stage(c, f);
	if (!f->stage)
		return -EINVAL;
	c->n_stages = first_delivery(c) + 1;
	c->stages[c->n_stages - 1] = f->stage;
	c->filters = steal(&f);
	return 0;
}

void filters_close(struct connection *c)
{
	if (!c->filters)
		return;
	c->filters->api->close(c->filters->stage);
	free(c->filters);
	c->filters = NULL;
}
