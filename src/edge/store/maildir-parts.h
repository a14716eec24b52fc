/* SPDX-License-Identifier: ISC */
/*
 * The parts of the stage that stores messages: a broker carries out some of them for the
 * process of a connection.
 */
#pragma once

#include "edge/store/store.h"

/*
 * The descriptors that the connections of a broker share. One with many recipients cannot
 * take them from the others: the first ones of each are counted up to all, and further
 * ones only up to a part.
 */
#define SHARED_FDS_OWN 16 /* of one connection: for five Maildirs that exist */
#define SHARED_FDS_PART 2 /* those above are taken from one of so many parts */

struct shared_fds {
	size_t n_used, n_most;
};

/* Gives back all that the transaction has taken. */
void maildir_give_back(struct maildir *m);

/* Takes from the recipient added last what it has: the boxes from that number on. */
void maildir_drop_boxes(struct maildir *m, struct recipient *r, size_t n_boxes);

/*
 * Opens the mailbox at the place and takes it over. NULL or a refusal; NULL as well where
 * the place is none, which *ret_elsewhere then says.
 */
const struct reply *maildir_take_place(struct maildir *m, const struct tx *tx,
	struct recipient *r, const struct recipients_place *place, bool *ret_elsewhere);

/*
 * Adds the box of that number to the recipient, unless it has it. Returns NULL, or a
 * refusal.
 */
const struct reply *maildir_add_goal(
	struct maildir *m, struct recipient *r, size_t number);

/* The reply to -errno. */
const struct reply *maildir_failure(int error);

/* The first fault of the transaction is the one that its record has. */
void maildir_note_box(struct maildir *m, const struct mailbox *box);

/* The reply where no mailbox can have the message, for the reason of the first. */
const struct reply *maildir_fail_all(struct maildir *m, int error);

/* Of the stage: gives the recipient its boxes, or refuses it. */
const struct reply *maildir_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r);

/* Of the stage: drops all that the recipient added last has. */
void maildir_drop(struct stage *st, struct recipient *r);

/* Makes what is missing of the boxes, and the files for the content. 0 or -errno. */
int maildir_open_files(struct maildir *m, const struct tx *tx);

/*
 * Sets the reply of every recipient of whose Maildirs one cannot have the message. What
 * no other recipient wants is then wanted no more.
 */
void maildir_refuse_recipients(struct maildir *m, struct tx *tx);

/*
 * Links the files into the boxes that are wanted and not linked yet. With m->root.later
 * *ret_again is true where new files were made in place of some that cannot be linked:
 * they are to be synced, and this is to be called again. 0, or -errno where all fail.
 */
int maildir_link(struct maildir *m, const struct tx *tx, bool *ret_again);

/*
 * Removes what is linked from boxes that failed or are not wanted any more, or from all.
 * What a reader has moved to cur already is his: he sees that message twice.
 */
void maildir_take_back(struct maildir *m, bool all);

/* Puts the name of the file in the first box that has it into tx->file. */
void maildir_note_name(const struct maildir *m, struct tx *tx);

/* Of the stage: forgets the transaction. */
void maildir_clear(struct stage *st);
