/* SPDX-License-Identifier: ISC */
/* The parts of `postern --check`, and how they report faults and warnings. */
#pragma once

#include "edge/idn/idn.h"
#include "edge/settings/settings.h"

/*
 * Counts and reports a fault; `ctx` is the struct config. A path of the directory of
 * credentials is shown by its name.
 */
void check_fault(void *ctx, const char *text);

/* Reports what an administrator should know, although mail is received. */
void check_warning(struct config *c, const char *text);

/* Reports what was found, and is as it should be. */
void check_note(struct config *c, const char *text);

/* "KEY VALUE: WHAT" */
void check_setting_fault(
	struct config *c, const char *key, const char *value, const char *what);

/*
 * Checks each directory that a connection writes to: mail-root and the mailboxes in it,
 * in the words of `delivery_fault`; the log; trace-directory; the outbox. Leaves nothing
 * behind. The table of recipients is open, or there is none.
 */
void check_places(struct config *c);

/*
 * Checks the files that settings of AUTH name, with the present rights: a connection
 * opens them before it becomes `user`. Each fault names setting, file and line; none
 * shows a secret.
 */
void check_auth(struct config *c);

/*
 * Reports each line of the recipients table that no mail can match or that leads to no
 * mailbox, and a catch-all of that kind. It reads the table that is open, or, where that
 * cannot be used, the lines of the file that can be read. `api`: the tables of Unicode;
 * NULL: they cannot be loaded, and names are not compared with their other forms.
 */
void check_recipients(struct config *c, const struct idn_api *api);

struct milter_api;

/* Connects to each filter, and reports what it wants or what is wrong. */
void check_filters(struct config *c, const struct milter_api *api);

/* Warns of each address of postmaster that has no mailbox. */
void check_postmaster(const struct config *c);
