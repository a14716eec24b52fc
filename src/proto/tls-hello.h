/* SPDX-License-Identifier: ISC */
/*
 * The lists of code points that one side of a TLS handshake accepts, in order of
 * preference, and the first octets that a client sent.
 */
#pragma once

#include "base/buf.h"
#include "base/span.h"

/* Entries of a list; today's clients offer fewer. Of a longer list the first are kept. */
#define TLS_LIST_MAX 96
#define TLS_ALPN_MAX 64
/* words of one list in a text; the text has the number of those left out */
#define TLS_WORDS_MAX 24

struct tls_list {
	uint16_t codes[TLS_LIST_MAX];
	size_t n;
	bool cut; /* the list was longer */
};

struct tls_terms {
	struct tls_list versions;
	struct tls_list suites;
	struct tls_list groups;
	struct tls_list signatures;
	char alpn[TLS_ALPN_MAX]; /* names of protocols, separated by blanks; escaped */
};

/* Appends a code. Nothing happens if the list has it already, or is full. */
void tls_list_add(struct tls_list *list, uint16_t code);
bool tls_list_has(const struct tls_list *list, uint16_t code);
/* True when a code is in both lists. */
bool tls_list_meet(const struct tls_list *a, const struct tls_list *b);
/* Returns the least, and the greatest, code; 0 for an empty list. */
uint16_t tls_list_least(const struct tls_list *list);
uint16_t tls_list_greatest(const struct tls_list *list);

/*
 * Appends the first `max` words, and the number of the others. `put` writes a word;
 * `between` separates two.
 */
void tls_list_put(struct buf *to, const struct tls_list *list, size_t max,
	const char *between, void (*put)(struct buf *to, uint16_t code));

/* Removes the suites and signatures that need other keys than `keys` (enum tls_key). */
void tls_terms_keep(struct tls_terms *terms, unsigned keys, uint16_t version);

/*
 * Appends "versions TLS1.2; suites TLS_RSA_WITH_NULL_SHA 0x0abc; groups x25519; alpn
 * smtp".
 */
void tls_terms_put(struct buf *to, const struct tls_terms *terms);

/*
 * The first octets of a client where TLS should begin, and the offer of its ClientHello.
 * They are read only to explain why a handshake failed.
 */

#define TLS_ODD_NAME_MAX 72 /* octets of a name that is only shown */
#define TLS_NAME_MAX 256 /* a server name: DNS has 253 octets */
#define TLS_FIRST_OCTETS 8 /* octets shown of input that is not TLS */
#define TLS_FIRST_TEXT 24 /* octets shown of a line of text */
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
	/* a hello without a list of versions gives only the newest version */
	bool or_older;
	bool fallback; /* a second attempt with an older version (RFC 7507) */
	bool bad_name; /* a server name that GnuTLS does not take */
	char name[TLS_NAME_MAX]; /* the server name: graphic ASCII, or empty */
	/* a name that GnuTLS does not take: escaped, and cut */
	char odd_name[TLS_ODD_NAME_MAX];
	int alert; /* last alert in the clear that ends TLS, or TLS_NO_ALERT */
	char first[TLS_FIRST_MAX]; /* the first octets, or the line of a text; escaped */
};

/* Returns the newest version that the client offers and the list has, or 0. */
uint16_t tls_opening_version(const struct tls_opening *o, const struct tls_list *allowed);

/* True for a server name that GnuTLS takes: 1*( ALPHA / DIGIT / "-" / "." ). */
bool tls_name_is_taken(struct span name);

/* True for a name that needs no escapes in a log line or a quoted string. */
bool tls_name_is_plain(struct span name);

/*
 * Reads the octets that came first on a connection: TLS records (RFC 8446 5.1), a hello
 * of SSL 2.0 (RFC 5246 E.2), or something else. Of a malformed hello the part before the
 * fault is read. The octets are changed, because a message in several records is joined
 * in place.
 */
void tls_opening_read(struct bytes octets, struct tls_opening *ret);
