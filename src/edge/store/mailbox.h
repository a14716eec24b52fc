/* SPDX-License-Identifier: ISC */
/* A mailbox for the stages that store messages: more than other folders need of it. */
#pragma once

#include "edge/store/store.h"

/*
 * Makes missing parts of a Maildir, and directories above it, durably, and opens it. Not
 * after MAILBOX_OTHER of mailbox_open(). 0 or -errno.
 */
int mailbox_create(struct mailbox *box);

/*
 * True if the file system of the box has no space for that many octets. For a box that
 * does not exist yet this is known only if it is that of mail-root.
 */
bool mailbox_is_full(const struct mailbox *box, uint64_t octets);

/*
 * Reads again the values by which files can be linked into a complete box: its owner, and
 * the quota project of its files, if its file system has such quotas. 0 or -errno.
 */
int mailbox_learn(struct mailbox *box);

/*
 * Judges again whose the open parts of a complete box are, which root can change after
 * mailbox_open(): nothing is made there with the rights of root. 0 or -errno.
 */
int mailbox_judge_owners(struct mailbox *box);

/* Keeps the first fault of the box. Returns `error`. */
int mailbox_fail(struct mailbox *box, const char *part, int error);

/*
 * Appends "/srv/mail/a: is empty ...", for the directory above a box that does not exist.
 */
void mailbox_put_empty_fault(const struct mailbox *box, const char *root, struct buf *to);

/*
 * True for a place that is not a mailbox, so that the next one is tried. `found` is the
 * result of mailbox_open().
 */
bool mailbox_is_elsewhere(
	int found, const struct mailbox *box, const struct recipients_place *place);

bool mailbox_is_same(const struct mailbox *a, const struct mailbox *b);
