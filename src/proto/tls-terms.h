/*
 * What one side of a TLS handshake would agree to: lists of IANA's code points, in order
 * of preference.
 */
#pragma once

#include "base/buf.h"

/* More than any client of today offers; of a longer list the first are kept. */
#define TLS_LIST_MAX 96
#define TLS_ALPN_MAX 64
/* words of one list in a text; the others are counted */
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
void tls_terms_keep(struct tls_terms *terms, unsigned keys);

/* "versions TLS1.2; suites TLS_RSA_WITH_AES_128_CBC_SHA 0x0abc; groups x25519; alpn smtp" */
void tls_terms_put(struct buf *to, const struct tls_terms *terms);
