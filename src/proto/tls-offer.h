/*
 * What a client said first where TLS was to begin, and what it offers in its ClientHello:
 * read to be described, when a handshake has failed.
 */
#pragma once

#include "base/span.h"
#include "proto/tls-terms.h"

#define TLS_ODD_NAME_MAX 72 /* octets of a name that is only shown */
#define TLS_NAME_MAX 256 /* a server name: DNS has 253 octets */
#define TLS_FIRST_OCTETS 8 /* shown of what is not TLS */
#define TLS_FIRST_TEXT 24 /* and of a line of text */
#define TLS_FIRST_MAX 64 /* the same, escaped */
#define TLS_NO_ALERT (-1)

enum tls_opening_kind {
	TLS_OPENING_NOTHING,
	TLS_OPENING_HELLO, /* a whole ClientHello */
	TLS_OPENING_TORN, /* the beginning of one */
	TLS_OPENING_HTTP, /* a request */
	TLS_OPENING_TEXT, /* a line, as SMTP has them */
	TLS_OPENING_OTHER,
};

struct tls_opening {
	enum tls_opening_kind kind;
	struct tls_terms offered;
	bool or_older; /* a hello without a list: the version is the newest it knows */
	bool fallback; /* a second try with an older version (RFC 7507) */
	bool bad_name; /* a server name that GnuTLS does not take */
	char name[TLS_NAME_MAX]; /* the server name: graphic ASCII, or empty */
	char odd_name
		[TLS_ODD_NAME_MAX]; /* of one that it does not take: escaped, and cut */
	int alert; /* the last one in the clear that ends TLS, or TLS_NO_ALERT */
	char first[TLS_FIRST_MAX]; /* octets, or of text the line; escaped */
};

/* True of what GnuTLS takes as a server name: 1*( ALPHA / DIGIT / "-" / "." ); so "::1" and "a_b" are none. */
bool tls_name_is_taken(struct span name);

/* True of a name with nothing that a log line or a quoted string would have to escape. */
bool tls_name_is_plain(struct span name);

/*
 * Reads the octets that came first on a connection: TLS records (RFC 8446 5.1), a hello of
 * SSL 2.0 (RFC 5246 E.2), or something else. Of a malformed hello what comes before the
 * fault. The octets are changed: a message that lies in several records is put together.
 */
void tls_opening_read(struct bytes octets, struct tls_opening *ret);
