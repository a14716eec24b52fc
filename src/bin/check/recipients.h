/* postern --check: the table of recipients, line by line. */
#pragma once

#include "edge/settings/settings.h"
#include "edge/idn/idn.h"

/*
 * Reports each line that no mail can match or that leads nowhere, and a catch-all that does. It reads the table that is
 * open, or, where that cannot be used, as much of the file as can be read. `api`: the tables of Unicode; NULL: they
 * cannot be loaded, and names are not compared with their other forms.
 */
void check_recipients(struct config *c, const struct idn_api *api);

/* Warns, without a fault, of each address of postmaster that has no mailbox. */
void check_postmaster(const struct config *c);
