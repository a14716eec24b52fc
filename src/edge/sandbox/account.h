/* The account of a local user. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "base/buf.h"

struct account {
	uid_t uid;
	gid_t gid; /* of its primary group */
};

/* Finds the user in the text of a passwd(5) file: the first line of that name counts. False when there is none
 * or its numbers are no ids. */
bool account_parse(struct span text, struct span name, struct account *ret);

/* Of /etc/passwd or, where that has no such user, by getpwnam(). 0, -ENOENT, or what else -errno. */
int account_find(const char *name, struct account *ret);

/* Why the process cannot become that user, and what to do. */
void account_put_fault(struct buf *to, const char *name, int error);
