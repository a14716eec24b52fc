/* SPDX-License-Identifier: ISC */
/* The two sides of a channel: what the broker serves, and what a connection asks. */
#pragma once

#include "edge/store/store.h"
#include "proto/broker.h"

/* Of the broker: what it has of one channel. */
struct broker_channel;

/* What all channels share, opened before the sandbox. */
struct broker_places {
	const struct recipients *recipients;
	const char *host; /* for file names */
	const char *quarantine; /* below mail-root; NULL: there is none */
	const char *outbox; /* its path, for faults; NULL: there is none */
	bool original_to;
	int mail_root, outbox_root; /* open; -1: there is none */
	int traces; /* trace-directory, open, or -errno */
	struct shared_fds *shared; /* NULL: there is one channel */
	/* of these three; NULL: none */
	const struct hang_mark *mail_mark, *outbox_mark, *traces_mark;
};

/* Returns NULL without memory. */
struct broker_channel *broker_channel_new(const struct broker_places *places);

/* Removes files that are not linked, and links of messages that were not cleared. */
void broker_channel_free(struct broker_channel *c);

/*
 * Carries out a request and fills in the answer, whose descriptors are borrowed. False:
 * the request is none that a connection sends, and the channel is to be closed. When
 * users_are_awaited() after it, nothing was done, and there is no answer yet.
 */
bool broker_channel_serve(struct broker_channel *c, const struct broker_request *r,
	struct broker_answer *ret, int ret_fds[static BROKER_FDS_MAX], size_t *ret_n_fds);

/* The answer was sent, or cannot be: closes what it has lent for that alone. */
void broker_channel_sent(struct broker_channel *c);

/* Of a connection. */

/*
 * Asks the broker and waits for its answer, which is in l->answer; requests without one
 * are only sent. 0, or -errno, and then no further request can be sent.
 */
int broker_ask(struct broker_link *l, const struct broker_request *request,
	int fds[static BROKER_FDS_MAX], size_t *ret_n_fds);

/*
 * All the files of a message, and then the directories that are to be synced. `id` and
 * `source` go into the names. With a refusal, which *ret_refusal then is, there are none.
 * 0 or -errno.
 */
int broker_files_open(struct broker_files *f, const char *id, const char *source,
	const struct reply **ret_refusal);

/* Notes an error of a file, which is closed. */
void broker_files_fail(struct broker_files *f, size_t number, int error);

/* Makes the files durable; one that fails is given up. */
void broker_files_sync(struct broker_files *f);

/* Gets the replies of recipients after failures, into f->link->answer. 0 or -errno. */
int broker_files_judge(struct broker_files *f);

/*
 * Lets the broker link the files, syncs, and clears the message at the broker. The
 * replies of recipients are then in f->link->answer. 0; or -errno: the broker removes the
 * links. One that dies before that leaves them, and a client that tries again causes a
 * duplicate; no message is lost.
 */
int broker_files_commit(
	struct broker_files *f, uint32_t flags, char ret_name[static TX_FILE_MAX]);

/* Clears the message; files that are not linked are gone. */
void broker_files_clear(struct broker_files *f);

/* The refusal in the answer; NULL: none. */
const struct reply *broker_refusal(const struct broker_link *l);
