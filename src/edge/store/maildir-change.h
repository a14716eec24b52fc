/* SPDX-License-Identifier: ISC */
/* The mailboxes of accepted recipients, as they are taken over and dropped. */
#pragma once

#include "edge/store/store.h"

/* Takes from the recipient added last what it has: the boxes from that number on. */
void maildir_drop_boxes(struct maildir *m, struct recipient *r, size_t n_boxes);

/*
 * Opens the mailbox at the place and takes it over. NULL or a refusal; NULL as well where
 * the place is none, which *ret_elsewhere then says.
 */
const struct reply *maildir_take_place(struct maildir *m, const struct tx *tx,
	struct recipient *r, const struct recipients_place *place, bool *ret_elsewhere);

/* Of the stage: drops all that the recipient added last has. */
void maildir_drop(struct stage *st, struct recipient *r);
