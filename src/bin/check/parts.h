/* SPDX-License-Identifier: ISC */
/*
 * The parts of `postern --check`, and the functions by which they report faults and
 * warnings.
 */
#pragma once

#include "edge/idn/idn.h"
#include "edge/settings/settings.h"

/*
 * Counts and reports a fault; `ctx` is the struct config. A path of the directory of
 * credentials is shown by its name.
 */
void check_fault(void *ctx, const char *text);

/* Reports a warning: a problem although mail is received. */
void check_warning(struct config *c, const char *text);

/* Reports a note: a fact that is no problem. */
void check_note(struct config *c, const char *text);

/* Reports the fault "KEY VALUE: WHAT". */
void check_setting_fault(
	struct config *c, const char *key, const char *value, const char *what);

/*
 * Checks each directory that a connection writes to: mail-root and its mailboxes, with
 * the texts of `delivery_fault`; the log; trace-directory; the outbox. No file remains.
 * The table of recipients is open, or there is none.
 */
void check_places(struct config *c);

/*
 * Checks the files that settings of AUTH name, with the present rights: a connection
 * opens them before it becomes `user`. Each fault has the setting, the file and the line,
 * but no secret.
 */
void check_auth(struct config *c);

/*
 * Reports each line of the recipients table that no mail can match or that has no
 * mailbox, and a catch-all without one. Reads the open table or, if it is unusable, all
 * valid lines of the file. `api` has the tables of Unicode; NULL: they cannot be loaded,
 * and other forms of names are not checked.
 */
void check_recipients(struct config *c, const struct idn_api *api);

/* Checks that users of the system can get mail, where these are the recipients. */
void check_users(struct config *c);

struct milter_api;

/* Connects to each filter, and reports its options or its fault. */
void check_filters(struct config *c, const struct milter_api *api);

/* Warns of each address of postmaster that has no mailbox. */
void check_postmaster(const struct config *c);
