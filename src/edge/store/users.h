/* SPDX-License-Identifier: ISC */
/*
 * The users of the system, as recipients. A module of the name services may open any file
 * or socket, and may crash; so a process without rights calls it for the broker.
 */
#pragma once

#include "edge/store/store.h"

#define USERS_NAME_MAX 256 /* octets of a name, with its NUL */
#define USERS_HOME_MAX 1024 /* octets of a home, likewise */

struct user {
	uid_t uid;
	char home[USERS_HOME_MAX];
};

/*
 * Forks the process that answers, which becomes the user of that name. It ends with the
 * channel. 0 or -errno.
 */
int users_start(struct users *u, const char *as);

/* True when that process has ended, or is of no use. */
bool users_have_ended(const struct users *u);

/*
 * Finds a user. 0; -ENOENT: there is none of that name and of these numbers; or another
 * -errno.
 */
int users_find(struct users *u, struct span name, struct user *ret);

/* Why users_find() has failed, in words. */
const char *users_error(int error);
