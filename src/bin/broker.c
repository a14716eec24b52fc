/* SPDX-License-Identifier: ISC */
/* What the broker gets of the settings, and how the connection gives up root. */
#include "bin/broker.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/sandbox/sandbox.h"
#include "edge/store/store.h"

#define CURE                                                                             \
	"; give the process CAP_SETUID and CAP_SETGID (in a unit by "                    \
	"CapabilityBoundingSet=), or set user"

static int report(struct log *log, const char *what, const char *why, int error)
{
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "%s: %s%s", what, why, error == -EPERM ? CURE : "");
	log_error(log, text);
	return error;
}

int broker_begin(const struct broker_start *s, int *ret_ours)
{
	const struct config *c = s->config;
	const char *traces = c->traced.n ? c->trace_directory : NULL;
	OWNED_FD int traces_fd = traces ? file_open_directory(traces) : -ENOENT;
	const struct broker_task task = { .recipients = &c->recipients,
		.host = s->host,
		.quarantine = c->quarantine_mailbox,
		.outbox = s->outbox >= 0 ? c->dsn_outbox : NULL,
		.original_to = c->session.original_to,
		.user_of_lookups = BROKERED_USER,
		.mail_root = s->mail_root,
		.outbox_root = s->outbox,
		.traces = traces_fd,
		.traces_path = traces,
		.sandbox = c->sandbox,
		.serves_one = s->serves_one,
		.hangs = s->hangs,
		.place = s->place };
	int r = sandbox_may_become_users() ? broker_start(&task, ret_ours) : -EPERM;

	if (r == 0)
		return 0;
	return report(s->log,
		"the broker, which opens mailboxes as their owners, cannot be started",
		strerror(-r), r);
}

int broker_leave_root(struct log *log)
{
	char why[CONFIG_FAULT_MAX / 2];
	struct buf b = BUF(why);
	int r = sandbox_user(BROKERED_USER);

	if (r == 0)
		return 0;
	account_put_fault(&b, BROKERED_USER, -r);
	return report(log, "a connection cannot become the user " BROKERED_USER,
		r == -EPERM || b.overflow ? strerror(-r) : why, r);
}
