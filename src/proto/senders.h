/* Which addresses somebody may send mail from: a value of the table `auth-senders`. */
#pragma once

#include <stdbool.h>
#include "base/span.h"

/*
 *   list    = pattern *( 1*WSP pattern )
 *   pattern = "*" / "@" domain / local-part "@" domain
 *
 * Whether one of them has the address, which is a mailbox. Letters of ASCII are the same in upper and lower
 * case, as they are for the names of Maildirs. Nobody's address, <>, is in every list.
 */
bool senders_have(struct span list, struct span address);

/* The first word that is no pattern; empty: there is none. */
struct span senders_wrong(struct span list);
