/* The part of --check that looks at mail-root and at the mailboxes in it. */
#pragma once

#include "edge/settings/settings.h"

struct check_report {
	void (*fault)(void *ctx, const char *text); /* its `ctx` is the config */
	void (*warning)(void *ctx, const char *text);
};

/*
 * Names each mailbox that a message could not be stored in, in the words of `delivery_fault`, and what mail-root
 * and its file system lack. Leaves nothing behind. The table of recipients is open, or there is none.
 */
void check_mailboxes(struct config *c, const struct check_report *report);
