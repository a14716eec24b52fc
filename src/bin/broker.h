/* SPDX-License-Identifier: ISC */
/*
 * Starts the broker, where a process of root delivers into mailboxes of other users. It
 * is forked before the sandbox closes. The connection then becomes BROKERED_USER, a user
 * without a right to any mailbox.
 */
#pragma once

#include "edge/log/log.h"
#include "edge/settings/settings.h"

#define BROKERED_USER "nobody"

/* What the broker takes over. */
struct broker_start {
	const struct config *config;
	const char *host; /* for file names */
	int mail_root, outbox; /* open; -1: there is no outbox */
	bool serves_one; /* the result is its only channel, and not a control */
	struct hangs *hangs; /* NULL: there is none */
	int place; /* of the broker in it; -1: none */
	struct log *log;
};

/* Starts it. 0 and a channel or control; or -errno, which has been recorded. */
int broker_begin(const struct broker_start *s, int *ret_ours);

/* This process becomes BROKERED_USER. 0, or -errno, which has been recorded. */
int broker_leave_root(struct log *log);
