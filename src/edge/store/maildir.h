/* Delivery: the stage that makes a message durable in one or more Maildirs, or leaves no
 * trace of it. */
#pragma once

#include "edge/store/mailbox.h"
#include "edge/store/recipients.h"
#include "smtp/tx.h"

/* names of one file: below every file system's own limit */
#define MAILDIR_LINKS_MAX 1000

struct copy; /* a file with the message: one for each file system and owner */

struct maildir {
	struct stage stage;
	struct recipients recipients;
	int root; /* mail-root, open; the caller's */
	int max_fd; /* descriptors from here on are kept for files and logs */
	const char *host; /* escaped for a file name */
	struct mailbox *boxes;
	size_t n_boxes;
	size_t n_later; /* descriptors that boxes get when content is about to come */
	struct copy *copies;
	size_t n_copies;
	char fault[MAILBOX_FAULT_MAX]; /* of the transaction; see struct stage */
};

/* `host` stays the caller's. m->root is to be set before mail comes. */
void maildir_init(
	struct maildir *m, const struct recipients *recipients, const char *host);

/*
 * How many recipients of one transaction the descriptors of this process do for, if each has a mailbox of another
 * owner. At least 1.
 */
size_t maildir_most_recipients(const struct maildir *m);

/* A host name with "/" and ":" and unprintable octets replaced, as names of messages need
 * it. */
void maildir_host(struct buf *to, struct span hostname);
