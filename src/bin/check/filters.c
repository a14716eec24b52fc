/* SPDX-License-Identifier: ISC */
/* `postern --check` of the filters: each is connected to, as a connection would do it. */
#include "bin/check/parts.h"
#include "edge/milter/milter.h"
#include "edge/module.h"

static void put_finding(void *ctx, const char *text)
{
	struct config *c = ctx;

	check_note(c, text);
}

void check_filters(struct config *c, const struct milter_api *api)
{
	const struct milter_report report = {
		.ctx = c, .fault = check_fault, .finding = put_finding
	};

	if (api)
		api->check(&(struct milter_check){ .path = c->milters,
				   .state_directory = c->state_directory,
				   .can_quarantine = c->quarantine_mailbox != NULL },
			&report);
}
