/* SPDX-License-Identifier: ISC */
/*
 * Loads idn.so for a connection that needs it. If a library is missing, mail between
 * ASCII addresses is not affected.
 */
#include "edge/idn/idn.h"
#include <stdio.h>
#include "edge/log/log.h"
#include "edge/module.h"

/*
 * Returns the table of functions, or NULL. Loading is tried, and its failure logged, only
 * once.
 */
static const struct idn_api *api_of(struct names *names)
{
	struct idn_names *n = (struct idn_names *)names;
	struct buf b = BUF(n->fault);
	const char *error;

	if (n->api || n->tried)
		return n->api;
	n->tried = true;
	n->api = module_load(n->modules, IDN_MODULE, IDN_MODULE_TABLE, &error);
	if (!n->api) {
		buf_put(&b, SPAN("smtputf8: "));
		module_put_fault(&b, n->modules, IDN_MODULE, error);
		if (!buf_terminate(&b))
			snprintf(n->fault, sizeof(n->fault), "smtputf8: %.400s", error);
		log_error(n->log, n->fault);
		names->fault = n->fault;
	}
	return n->api;
}

/*
 * Passes on the result of the libraries. They are loaded, so UNAVAILABLE means a lack of
 * memory.
 */
static enum names_result result_of(struct names *names, enum names_result result)
{
	if (result == NAMES_UNAVAILABLE)
		names->fault = "smtputf8: out of memory";
	return result;
}

static enum names_result domain(struct names *names, struct span text, struct buf *to)
{
	const struct idn_api *api = api_of(names);

	return api ? result_of(names, api->domain(text, to)) : NAMES_UNAVAILABLE;
}

static enum names_result local(struct names *names, struct span text, struct buf *to)
{
	const struct idn_api *api = api_of(names);

	return api ? result_of(names, api->local(text, to)) : NAMES_UNAVAILABLE;
}

void idn_names_init(struct idn_names *n, const char *modules, struct log *log)
{
	*n = (struct idn_names){
		.names = { .domain = domain, .local = local },
		.modules = modules,
		.log = log,
	};
}

void idn_names_lend(struct idn_names *n, const struct idn_api *api)
{
	if (!n->api)
		n->api = api;
}
