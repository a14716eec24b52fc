/* Which Maildir an accepted recipient's mail goes to. */
#pragma once

#include "base/buf.h"
#include "smtp/tx.h"

/* below mail-root; each component has its own limit, NAME_MAX */
#define MAILBOX_PATH_MAX 1024

struct recipients {
	const char *template; /* relative to mail-root; %u local part, %d domain, %% a
				 percent */
	const char *hostname; /* the domain of <postmaster> */
};

enum recipients_result {
	RECIPIENTS_FOUND,
	RECIPIENTS_NAME, /* the address cannot name a directory */
};

/*
 * The path below mail-root, NUL-terminated; "." for mail-root itself. Local part and
 * domain are written in lower case, and each is one path component or part of one: never
 * empty, "..", hidden, malformed UTF-8, or with a slash or control character in it.
 */
enum recipients_result recipients_path(
	const struct recipients *rs, const struct recipient *r, struct buf *ret_path);
