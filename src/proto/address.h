/* SPDX-License-Identifier: ISC */
/*
 * Paths, mailboxes and parameters of MAIL and RCPT (RFC 5321 4.1.2, 4.1.3, RFC 6531 3.3).
 * All spans borrow from what was parsed.
 */
#pragma once

#include <stdbool.h>
#include "base/buf.h"
#include "base/span.h"

#define PATH_OCTETS_MAX 256 /* RFC 5321 4.5.3.1.3, angle brackets included */
#define DOMAIN_OCTETS_MAX 255 /* RFC 5321 4.5.3.1.2 */

/* What is accepted beyond RFC 5321 depends on what a path is for. */
enum path_kind {
	/* of MAIL, only written: dots may be anywhere, as phones send them */
	PATH_REVERSE,
	PATH_FORWARD, /* of RCPT */
	PATH_FORWARD_LOCAL, /* of RCPT in LMTP: a local part may stand without "@" */
};

struct path {
	/* mailbox without route and brackets; of RCPT without a dot at its end */
	struct span text;
	struct span local; /* with its quotes, if it has any */
	/* name without a dot at its end, or address literal in brackets, or empty */
	struct span domain;
	bool null; /* <> */
	bool lenient; /* accepted, but not of the syntax of RFC 5321 */
	bool utf8; /* some of it is not ASCII, which needs SMTPUTF8 */
};

enum path_fault {
	PATH_FINE,
	PATH_KEYWORD, /* does not begin with FROM: or TO: */
	PATH_SYNTAX,
};

/*
 * Takes "FROM:" or "TO:" and the path behind it from the front of `args`; what is left
 * is empty or begins with the blank before the parameters. Source routes are checked and
 * dropped (RFC 5321 C).
 */
enum path_fault path_take(struct span *args, enum path_kind kind, struct path *ret);
/* Takes the path alone from the front of `text`. */
bool path_parse(struct span *text, enum path_kind kind, struct path *ret);

/* True for a domain name in ASCII, or an address literal of any type (RFC 5321 4.1.3). */
bool domain_valid(struct span domain);
/* The same, with UTF-8 in labels as in U-labels (RFC 6531 3.3). IDNA is not applied. */
bool domain_valid_utf8(struct span domain);

/* The octets that a local part stands for, without quoting (RFC 5321 4.1.2). */
void local_unquote(struct span local, struct buf *to);
/* The reverse: a quoted local part for these octets, which must be possible in one. */
void local_quote(struct span octets, struct buf *to);
/* The same, with quotes only where they are needed. */
void local_put(struct span octets, struct buf *to);

/* ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2, RFC 6531 3.3). */
struct param {
	struct span keyword;
	struct span value; /* empty without "=" */
	bool has_value;
	bool utf8; /* the value is not all ASCII: needs SMTPUTF8, and few may have it */
};

enum param_step {
	PARAM_END,
	PARAM_ONE,
	PARAM_SYNTAX, /* `ret->keyword` is what could not be read */
};

/* Takes the next parameter from the front of `args`. Borrows from it. */
enum param_step param_take(struct span *args, struct param *ret);

/*
 * Which addresses a user may send mail from: a value of the table `auth-senders`.
 *
 *   list    = pattern *( 1*WSP pattern )
 *   pattern = "*" / "@" domain / local-part "@" domain
 *
 * True when a pattern of the list matches the address, a mailbox. ASCII letters are
 * compared without case, as for the names of Maildirs. The null path <> always matches.
 */
bool senders_have(struct span list, struct span address);

/* The first word that is not a pattern; empty: there is none. */
struct span senders_wrong(struct span list);

/* True of octets that a local part can have without quotes (Dot-string). */
bool local_is_dot_string(struct span octets);
