/* SPDX-License-Identifier: ISC */
/*
 * Paths, mailboxes and parameters of MAIL and RCPT (RFC 5321 4.1.2, 4.1.3, RFC 6531 3.3).
 * All spans point into the parsed text.
 */
#pragma once

#include <stdbool.h>
#include "base/buf.h"
#include "base/span.h"

#define PATH_OCTETS_MAX 256 /* RFC 5321 4.5.3.1.3, angle brackets included */
#define DOMAIN_OCTETS_MAX 255 /* RFC 5321 4.5.3.1.2 */

/* The use of a path decides which deviations from RFC 5321 are accepted. */
enum path_kind {
	/* of MAIL: it is only recorded, so dots may be anywhere, as phones send them */
	PATH_REVERSE,
	PATH_FORWARD, /* of RCPT */
	PATH_FORWARD_LOCAL, /* of RCPT in LMTP: a local part may stand without "@" */
};

struct path {
	/* mailbox without route and brackets; in RCPT also without a dot at its end */
	struct span text;
	struct span local; /* including its quotes, if any */
	/* name without a dot at its end, or address literal in brackets, or empty */
	struct span domain;
	bool null; /* <> */
	bool lenient; /* accepted, although it violates the syntax of RFC 5321 */
	bool utf8; /* has characters outside ASCII, which need SMTPUTF8 */
};

enum path_fault {
	PATH_FINE,
	PATH_KEYWORD, /* does not begin with FROM: or TO: */
	PATH_SYNTAX,
};

/*
 * Takes "FROM:" or "TO:" and the path behind it from the front of `args`. The rest of
 * `args` is empty or begins with the blank before the parameters. Source routes are
 * checked and dropped (RFC 5321 C).
 */
enum path_fault path_take(struct span *args, enum path_kind kind, struct path *ret);
/* Takes a path without the keyword from the front of `text`. */
bool path_parse(struct span *text, enum path_kind kind, struct path *ret);

/* True for a domain name in ASCII, or an address literal of any type (RFC 5321 4.1.3). */
bool domain_valid(struct span domain);
/*
 * Like domain_valid(), and labels may have UTF-8, as U-labels do (RFC 6531 3.3). The
 * rules of IDNA are not checked.
 */
bool domain_valid_utf8(struct span domain);

/* Appends the octets of a local part without its quoting (RFC 5321 4.1.2). */
void local_unquote(struct span local, struct buf *to);
/*
 * True when both are the same mailbox: quotes around a local part make no difference, and
 * neither do capital letters. A text that is no mailbox is compared as it is.
 */
bool address_is_same(struct span a, struct span b);
/* Appends a quoted local part for these octets. All of them must be allowed in one. */
void local_quote(struct span octets, struct buf *to);
/* Appends a local part for these octets, quoted only where quotes are needed. */
void local_put(struct span octets, struct buf *to);

/* ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2, RFC 6531 3.3). */
struct param {
	struct span keyword;
	struct span value; /* empty without "=" */
	bool has_value;
	/* the value is not ASCII: this needs SMTPUTF8, and few parameters allow it */
	bool utf8;
};

enum param_step {
	PARAM_END,
	PARAM_ONE,
	PARAM_SYNTAX, /* `ret->keyword` is the text that could not be parsed */
};

/* Takes the next parameter from the front of `args`; *ret borrows from `args`. */
enum param_step param_take(struct span *args, struct param *ret);

/*
 * A value of the table `auth-senders`: the addresses that a user may send mail from.
 *
 *   list    = pattern *( 1*WSP pattern )
 *   pattern = "*" / "@" domain / local-part "@" domain
 *
 * True when a pattern of the list matches the address, a mailbox. ASCII letters are
 * compared without case, as for the names of Maildirs. The null path <> always matches.
 */
bool senders_have(struct span list, struct span address);

/* Returns the first word that is not a pattern, or an empty span. */
struct span senders_wrong(struct span list);

/* True for octets that a local part can have without quotes (Dot-string). */
bool local_is_dot_string(struct span octets);
