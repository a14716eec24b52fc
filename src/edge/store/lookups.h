/* SPDX-License-Identifier: ISC */
/*
 * The processes that call the name services for a broker: one that has the questions, and
 * those that each call with one of them. They have no file, no right and no client.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define LOOKUPS_NAME "postern-users" /* of the process, and its first argument */
#define USERS_NAME_MAX 256 /* octets of a name, with its NUL */
#define USERS_HOME_MAX 1024 /* octets of a home, likewise */

struct user {
	uid_t uid;
	char home[USERS_HOME_MAX];
};

struct lookup_question {
	uint32_t id; /* of the broker; the answer has it, too */
	char name[USERS_NAME_MAX];
};

struct lookup_answer {
	uint32_t id;
	int32_t error; /* 0, -ENOENT, or another -errno */
	struct user user;
};

/* Calls the name services. 0, -ENOENT: there is no such user; or another -errno. */
int lookups_find(const char *name, struct user *ret);

/*
 * In a new process, which becomes the user of that name: answers each question once,
 * several at a time, until the channel ends. Its exit status.
 */
int lookups_run(int channel, const char *as);

/*
 * The same in a program that is started anew, without what this process has in its
 * memory (users_serve()). Returns only an exit status for a failure.
 */
int lookups_run_apart(int channel, const char *as);
