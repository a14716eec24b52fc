/* SPDX-License-Identifier: ISC */
/*
 * The last stage of a session in memory: mailboxes in a small table, and faults on demand. It also checks that the
 * engine calls the hooks in the order of tx.h.
 */
#pragma once

#include "smtp/tx.h"
#include "way.h"

#define MEMORY_BOXES_MAX 2000

enum memory_hook {
	MEMORY_NONE,
	MEMORY_RCPT,
	MEMORY_DATA,
	MEMORY_BODY,
	MEMORY_PREPARE,
	MEMORY_COMMIT,
};

struct memory {
	struct stage stage;
	struct way *way; /* keeps delivered messages */
	const char *hostname; /* the domain of <postmaster> */
	const char *const *exist; /* mailboxes that do; ended by NULL */
	bool create; /* any mailbox exists */
	bool original_to; /* each mailbox has fields of its own on top */
	enum memory_hook fault_at;
	const struct reply *fault;
	const char *fault_of; /* the only recipient with this fault; NULL: all */

	bool begun; /* mail() was shown and clear() was not */
	enum memory_hook last; /* the hook called last in this transaction */
	bool refused; /* and it refused */
	char **boxes;
	size_t n_boxes;
	struct text content;
	size_t n_first; /* octets of the first line of it */
	const char *broken; /* which promise the engine broke, or NULL */
};

/* False when the dialogue's settings are none. */
bool memory_init(struct memory *m, struct way *way, const struct dialogue *d);
