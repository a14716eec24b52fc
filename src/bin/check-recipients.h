/* postern --check: the table of recipients, line by line. */
#pragma once

#include "edge/config.h"
#include "edge/idn.h"

/*
 * Tells every line that no mail can come by, or that leads nowhere, and a catch-all that does. The table is the
 * one that is open, as a connection has it, or of one that cannot be used what can be read. `api`: what Unicode's tables know; NULL: nobody can tell.
 */
void check_recipients(struct config *c, const struct idn_api *api);

/* Warns, without a fault, of each address of postmaster that has no mailbox. */
void check_postmaster(const struct config *c);
