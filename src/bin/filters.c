/* SPDX-License-Identifier: ISC */
/*
 * The filters of a connection. Mail is never received without the filters that are set:
 * what cannot be loaded or read makes the connection unusable.
 */
#include "bin/filters.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "edge/log/log.h"
#include "edge/milter/milter.h"
#include "edge/module.h"
#include "edge/net/net.h"
#include "edge/settings/settings.h"
#include "edge/store/store.h"
#include "smtp/policy.h"

static void put_fault(void *ctx, const char *text)
{
	log_error(ctx, text);
}

static void report(const struct filters_place *place, const char *what)
{
	char text[2 * CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "milters %s: %s", place->path, what);
	log_error(place->log, text);
}

static const struct milter_api *load(const struct filters_place *place)
{
	char why[CONFIG_FAULT_MAX];
	struct buf b = BUF(why);
	const struct milter_api *api;
	const char *error;

	/* whole: a listener is in its sandbox when it is first used */
	api = module_load_whole(
		place->modules, MILTER_MODULE, MILTER_MODULE_TABLE, &error);
	if (api)
		return api;
	module_put_fault(&b, place->modules, MILTER_MODULE, error);
	report(place, b.overflow ? error : why);
	return NULL;
}

static int wait_for(void *ctx, int fd, short events, uint64_t until)
{
	return stream_wait_for(ctx, fd, events, until);
}

static const struct reply *judge_domain(void *ctx, struct span domain)
{
	const struct filters *f = ctx;

	return policy_judge_domain(f->place.policy, domain);
}

static const struct reply *quarantine(void *ctx, struct tx *tx)
{
	const struct filters *f = ctx;

	if (f->place.brokered)
		return brokered_divert(f->place.brokered, tx);
	return maildir_divert(f->place.maildir, tx, f->place.quarantine);
}

struct filters *filters_open(const struct filters_place *place, struct stage **stages,
	size_t *n_stages, const struct stage *first)
{
	OWNED struct filters *f = calloc(1, sizeof(*f));
	size_t at = 0;

	if (!f) {
		report(place, "out of memory");
		return NULL;
	}
	f->place = *place;
	while (stages[at] != first)
		at++;
	f->n_delivery = *n_stages - at;
	for (size_t i = 0; i < f->n_delivery; i++)
		f->delivery[i] = stages[at + i];
	f->api = load(place);
	if (f->api)
		f->stage = f->api->open(
			&(struct milter_host){
				.path = place->path,
				.session = place->session,
				.reply = reply_get,
				.delivery = { f->delivery, f->n_delivery },
				.report = { .ctx = place->log, .fault = put_fault },
				.spares = place->spares,
				.wait = { .ctx = f->place.stream, .ready = wait_for },
				.ctx = f,
				.judge_domain = judge_domain,
				.quarantine = place->quarantine ? quarantine : NULL,
			},
			&f->facts);
	if (!f->stage)
		return NULL;
	stages[at] = f->stage;
	*n_stages = at + 1;
	return steal(&f);
}

void filters_connect(struct filters *f)
{
	if (f)
		f->api->connect(f->stage);
}

void filters_remove(const struct filters *f, struct stage **stages, size_t *n_stages)
{
	size_t at = *n_stages - 1; /* it is the last one */

	for (size_t i = 0; i < f->n_delivery; i++)
		stages[at + i] = f->delivery[i];
	*n_stages = at + f->n_delivery;
}

void filters_close(struct filters *f)
{
	if (!f)
		return;
	f->api->close(f->stage);
	free(f);
}
