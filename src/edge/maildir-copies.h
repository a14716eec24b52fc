/*
 * The files that a message is in on its way into the Maildirs of its transaction: one for each file system and
 * owner. A Maildir that cannot have it gets an error, and costs the others nothing.
 */
#pragma once

#include "edge/maildir.h"

/* Opens the first file, beside one of the boxes that have no error. 0; or -errno, where all have one. */
int copies_begin(struct maildir *m, const struct tx *tx);

/* Appends to it; to another, with what came before, where its file system fails. 0 or -errno, as above. */
int copies_write(struct maildir *m, const struct tx *tx, struct span text);

/*
 * All of the text is there: makes it durable, and the other files. Then each box has a copy or an error, at
 * least one a copy. 0; or -errno, where what was written cannot be relied on.
 */
int copies_finish(struct maildir *m, const struct tx *tx);

/*
 * Makes a file for that box alone, in place of its copy, which cannot be linked into it: `error` says why. Where
 * there are no hard links it is made in tmp. 0 or -errno.
 */
int copies_own(struct maildir *m, const struct tx *tx, struct mailbox *box, int error);

/*
 * The file was moved into the one box that has it: makes it durable, and closes it, as a message for many boxes has
 * a file for each. 0 or -errno.
 */
int copies_close_own(struct copy *c);
