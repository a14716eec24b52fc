/* SPDX-License-Identifier: ISC */
/*
 * The users of the system, as recipients. A module of the name services may open any file
 * or socket, may hang and may crash; so processes without rights call it for the broker
 * (lookups.h), which carries out a request again when an answer for it has come.
 */
#pragma once

#include "edge/store/lookups.h"
#include "edge/store/store.h"

/* Names of one recipient: the whole, without subaddress, postmaster, the catch-all. */
#define USERS_ANSWERS_MAX 4

/* What is known for one request. */
struct users_answers {
	uint32_t id; /* of the request; no other that waits has it */
	bool is_waiting; /* the last answer is still to come */
	size_t n;
	struct users_answer {
		char name[USERS_NAME_MAX];
		int32_t error; /* 0 or -errno */
		struct user user;
	} list[USERS_ANSWERS_MAX];
};

/*
 * Forks the process that answers, which becomes the user of that name. It ends with the
 * channel, and all that it has started with it. `apart`: it is started anew, as this
 * process has secrets in its memory. 0 or -errno.
 */
int users_start(struct users *u, const char *as, bool apart);

/* True when that process has ended, is of no use, or was never started. */
bool users_have_ended(const struct users *u);

/* True when the request that is carried out has to be carried out again. */
bool users_are_awaited(const struct users *u);

#define USERS_OUT_OF_RANGE 1 /* its number is not one of those that get mail */

/*
 * Finds a user. 0 or USERS_OUT_OF_RANGE; -ENOENT: there is none of that name; with
 * u->answers -EINPROGRESS: an answer is awaited; or another -errno. Without them waits,
 * which is for --check.
 */
int users_find(struct users *u, struct span name, struct user *ret);

/*
 * Takes an answer from the channel: that of the request *ret_id, for the name that it
 * waits for. 0; -EAGAIN: there is none; or another -errno.
 */
int users_take(struct users *u, uint32_t *ret_id, struct users_answer *ret);

/*
 * Finds the place of the mailbox in the home of a user. FAILED: s->fault says what is
 * wrong with the home.
 */
enum recipients_result recipients_at_home(struct recipients_search *s, struct span local,
	struct span domain, const struct user *user, struct recipients_place *ret);

/* Why users_find() has failed, in words. */
const char *users_error(int error);
