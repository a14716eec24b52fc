/* SPDX-License-Identifier: ISC */
/*
 * All replies of postern, named by their meaning (RFC 5321 4.2, RFC 3463). This table is
 * the only place with reply text; "%" stands for the one argument that a row may have. A
 * reply with the text of a filter is not a row of this table. Its text is printable
 * ASCII, of lines with LF between them, in which "%" is an ordinary character.
 */
#pragma once

#include "base/buf.h"

#define REPLY_LINE_MAX 512 /* RFC 5321 4.5.3.1.5, CRLF included */
#define REPLY_ARGUMENT_MAX 384
#define REPLY_CODE_END 421 /* the connection ends with it (RFC 5321 4.2.2) */

struct reply {
	unsigned short code;
	char enhanced[7]; /* "5.5.1", or empty where RFC 2034 has none */
	const char *text;
};

enum reply_name {
	REPLY_READY,
	REPLY_HELLO,
	REPLY_BYE,
	REPLY_OK,
	REPLY_HELP,
	REPLY_NOT_VERIFIED,
	REPLY_SENDER_OK,
	REPLY_RECIPIENT_OK,
	REPLY_START_CONTENT,
	REPLY_ACCEPTED,
	REPLY_CHUNK_OK,
	REPLY_FILTER_DISCARDED,
	REPLY_RESULTS,
	REPLY_GO_AHEAD,
	REPLY_CHALLENGE,
	REPLY_AUTH_DONE,

	REPLY_UNKNOWN_VERB,
	REPLY_NOT_IMPLEMENTED,
	REPLY_LINE_TOO_LONG,
	REPLY_LINE_NUL,
	REPLY_LINE_BARE,
	REPLY_ARGUMENT_MISSING,
	REPLY_ARGUMENT_UNWANTED,
	REPLY_HELLO_ARGUMENT,
	REPLY_FROM_MISSING,
	REPLY_SENDER_SYNTAX,
	REPLY_TO_MISSING,
	REPLY_RECIPIENT_SYNTAX,
	REPLY_PARAMETER_SYNTAX,
	REPLY_PARAMETER_UNKNOWN,
	REPLY_PARAMETER_TWICE,
	REPLY_PARAMETER_UNAVAILABLE,
	REPLY_HELLO_FIRST,
	REPLY_MAIL_FIRST,
	REPLY_RECIPIENT_FIRST,
	REPLY_NO_RECIPIENT,
	REPLY_NO_RECIPIENT_NOW,
	REPLY_MAIL_NESTED,
	REPLY_CHUNKS_BEGUN,
	REPLY_CHUNK_SYNTAX,
	REPLY_BINARY_DATA,
	REPLY_TLS_ACTIVE,
	REPLY_TLS_OFF,
	REPLY_TLS_EARLY,
	REPLY_TLS_FIRST,
	REPLY_AUTH_FIRST,
	REPLY_AUTH_CLEAR,
	REPLY_AUTH_TWICE,
	REPLY_AUTH_NESTED,
	REPLY_AUTH_SYNTAX,
	REPLY_AUTH_MECHANISM,
	REPLY_AUTH_RESPONSE,
	REPLY_AUTH_CANCELLED,
	REPLY_AUTH_TOO_LONG,
	REPLY_AUTH_FAILED,

	REPLY_ADDRESS_UTF8,
	REPLY_SENDER_DOMAIN,
	REPLY_SENDER_FOREIGN,
	REPLY_RECIPIENT_DOMAIN,
	REPLY_DOMAIN_UNKNOWN,
	REPLY_MAILBOX_UNKNOWN,
	REPLY_MAILBOX_NAME,
	REPLY_RECIPIENT_MANY,
	REPLY_SIZE_DECLARED,
	REPLY_SIZE_ACTUAL,
	REPLY_CONTENT_BARE,
	REPLY_HOPS,
	REPLY_FILTER_HEADER,
	REPLY_FILTER_REFUSED,
	REPLY_FILTER_LATER,
	REPLY_FILTER_FAILED,
	REPLY_FILTER_FAILED_FOR_GOOD,
	REPLY_FILTER_END,
	REPLY_FILTER_APART,

	REPLY_NAMES_UNAVAILABLE,
	REPLY_SENDER_UNAVAILABLE,
	REPLY_AUTH_UNAVAILABLE,
	REPLY_RECIPIENTS_FAILED,
	REPLY_STORE_FAILED,
	REPLY_STORE_FULL,
	REPLY_NO_MEMORY,
	REPLY_TLS_UNUSABLE,
	REPLY_TLS_UNUSABLE_END,
	REPLY_ERRORS,
	REPLY_AUTH_FAILURES,
	REPLY_CONNECTIONS,
	REPLY_SOURCE_FAILURES,
	REPLY_TRANSACTIONS,
	REPLY_REPORTS,
	REPLY_TIMEOUT,
	REPLY_SESSION_TIMEOUT,
	REPLY_SLOW,
	REPLY_SHUTDOWN,
	REPLY_MISCONFIGURED,
	REPLY_FOREIGN_HTTP,
	REPLY_FOREIGN_TLS,
	REPLY_DENIED,
	REPLY_BAD_PROXY,
	REPLY_COUNT,
};

/* Returns the row of that name. */
const struct reply *reply_get(enum reply_name name);

/* True for 2yz and 3yz. */
static inline bool reply_is_positive(const struct reply *r)
{
	return r->code < 400;
}

/*
 * True for 4yz because of a fault of this host. Too many recipients, the decision of a
 * filter, and the end of the session, are no faults.
 */
bool reply_is_fault(const struct reply *r);

/*
 * Appends the reply, with one line for each line of the argument, or of a filter's text.
 * Lines of an argument are separated by LF, escaped, and cut at REPLY_ARGUMENT_MAX
 * octets. A line of the reply has at most REPLY_LINE_MAX octets.
 */
void reply_put(struct buf *to, const struct reply *r, struct span argument);

/* True of a filter's reply of several lines. */
bool reply_has_lines(const struct reply *r);

/*
 * Appends the reply as one line without CRLF, for records. Several lines of a filter are
 * joined by blanks, and cut at REPLY_ARGUMENT_MAX octets in all.
 */
void reply_put_text(struct buf *to, const struct reply *r, struct span argument);
