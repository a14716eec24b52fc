/*
 * The files that a message is in on its way into the Maildirs of its transaction: one for each file system and
 * owner. All are open from the beginning of the content, and all of it is written to each: inside the sandbox no
 * file can be read, so none can be made from another. A Maildir that cannot have it gets an error, and costs the
 * others nothing.
 */
#pragma once

#include "edge/store/maildir.h"

/* Opens the files: each box then has one, or an error. 0; or -errno, where all have an error. */
int copies_begin(struct maildir *m, const struct tx *tx);

/* Appends to each; one that fails is given up with its boxes. 0 or -errno, as above. */
int copies_write(struct maildir *m, struct span text);

/* All of the text is there: makes it durable, and gives each file to its owner. 0 or -errno, as above. */
int copies_finish(struct maildir *m);

/*
 * Makes a file for that box alone, in place of its copy, which cannot be linked into it: `error` says why, and is
 * returned where the copy cannot be read. Where there are no hard links it is made in tmp. 0 or -errno.
 */
int copies_own(struct maildir *m, const struct tx *tx, struct mailbox *box, int error);
