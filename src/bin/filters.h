/* SPDX-License-Identifier: ISC */
/* The filters of a connection: loads their module, and puts their stage into its list. */
#pragma once

struct connection;
struct milter_api;
struct stage;

#define FILTERS_DELIVERY_MAX 2 /* the Maildirs, and the outbox of reports */

struct filters {
	const struct milter_api *api;
	struct stage *stage; /* asks the filters; it has the stages that deliver in it */
	struct stage *delivery[FILTERS_DELIVERY_MAX];
	const char *text; /* for the record of a transaction */
};

/*
 * Where filters are set: loads the module, and begins to connect to them, with the rights
 * of the connection and before its sandbox. 0, or -errno, which has been recorded: then
 * no mail may be received.
 */
int filters_open(struct connection *c);

void filters_close(struct connection *c);
