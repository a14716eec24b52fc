/* SPDX-License-Identifier: ISC */
/*
 * The lists of code points that one side of a TLS handshake accepts, in order of
 * preference, and what a client sent at the start of a handshake.
 */
#pragma once

#include "base/buf.h"
#include "base/span.h"

/* More than any client of today offers; of a longer list the first are kept. */
#define TLS_LIST_MAX 96
#define TLS_ALPN_MAX 64
/* words of one list in a text; the rest is counted */
#define TLS_WORDS_MAX 24

struct tls_list {
	uint16_t codes[TLS_LIST_MAX];
	size_t n;
	bool cut; /* there were more */
};

struct tls_terms {
	struct tls_list versions;
	struct tls_list suites;
	struct tls_list groups;
	struct tls_list signatures;
	char alpn[TLS_ALPN_MAX]; /* names of protocols, with blanks between; escaped */
};

/* Appends a code, unless the list has it or is full. */
void tls_list_add(struct tls_list *list, uint16_t code);
bool tls_list_has(const struct tls_list *list, uint16_t code);
/* Whether any code is in both. */
bool tls_list_meet(const struct tls_list *a, const struct tls_list *b);
/* The least and the greatest code; of an empty list 0. */
uint16_t tls_list_least(const struct tls_list *list);
uint16_t tls_list_greatest(const struct tls_list *list);

/*
 * Appends the first `max` words, each as `put` writes it and with `between` between them,
 * and how many more there are.
 */
void tls_list_put(struct buf *to, const struct tls_list *list, size_t max,
	const char *between, void (*put)(struct buf *to, uint16_t code));

/* Leaves out the suites and signatures that no such key (enum tls_key) can serve. */
void tls_terms_keep(struct tls_terms *terms, unsigned keys, uint16_t version);

/* "versions TLS1.2; suites TLS_RSA_WITH_NULL_SHA 0x0abc; groups x25519; alpn smtp" */
void tls_terms_put(struct buf *to, const struct tls_terms *terms);

/*
 * The first octets of a client where TLS should begin, and the offer of its ClientHello,
 * read only to explain why a handshake failed.
 */

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
	bool fallback; /* a second attempt with an older version (RFC 7507) */
	bool bad_name; /* a server name that GnuTLS does not take */
	char name[TLS_NAME_MAX]; /* the server name: graphic ASCII, or empty */
	/* a name that GnuTLS does not take: escaped, and cut */
	char odd_name[TLS_ODD_NAME_MAX];
	int alert; /* the last one in the clear that ends TLS, or TLS_NO_ALERT */
	char first[TLS_FIRST_MAX]; /* octets, or of text the line; escaped */
};

/* The newest version that the client offers and the list has, or 0. */
uint16_t tls_opening_version(const struct tls_opening *o, const struct tls_list *allowed);

/* True for a server name that GnuTLS takes: 1*( ALPHA / DIGIT / "-" / "." ). */
bool tls_name_is_taken(struct span name);

/* True for a name that needs no escapes in a log line or a quoted string. */
bool tls_name_is_plain(struct span name);

/*
 * Reads the octets that came first on a connection: TLS records (RFC 8446 5.1), a hello
 * of SSL 2.0 (RFC 5246 E.2), or something else. Of a malformed hello what comes before
 * the fault. The octets are changed: a message that lies in several records is put
 * together.
 */
void tls_opening_read(struct bytes octets, struct tls_opening *ret);
