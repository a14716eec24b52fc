/* SPDX-License-Identifier: ISC */
/*
 * Verifiers, which prove a password without containing it: the values of the table
 * `auth-users`, as gsasl(1), doveadm(1) and mkpasswd(1) print them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

#define VERIFIER_ITERATIONS_LEAST 4096 /* RFC 7677 4 */
#define VERIFIER_ITERATIONS_MAX 10000000 /* some seconds of a processor */
#define VERIFIER_SALT_MAX 64 /* octets */
#define VERIFIER_MAX 512 /* octets of a value */

enum verifier_kind {
	VERIFIER_SCRAM, /* SCRAM-SHA-256, RFC 7677 */
	VERIFIER_CRYPT, /* crypt(5): yescrypt or SHA-512 */
};

/* The spans are parts of the text. */
struct verifier {
	enum verifier_kind kind;
	uint32_t iterations;
	size_t n_salt; /* octets */
	struct span salt, stored, server; /* base64 */
	struct span hash;
	struct span cost; /* the text before the salt of a hash: its parameters */
};

/* NULL, or what is wrong, as a sentence without any part of the text. */
const char *verifier_parse(struct span text, struct verifier *ret);

/* Whether one takes as much time as the other, and has a salt of the same length. */
bool verifier_alike(const struct verifier *a, const struct verifier *b);

/*
 * The verifier that is checked for a user that does not exist. It has the parameters of
 * most existing users, so that neither time nor salt shows which users exist.
 */

#define DECOY_KINDS_MAX 8 /* different parameters; others are rare */

struct decoy {
	struct verifier verifier; /* of `text` */
	size_t n; /* users with such a verifier */
	char text[VERIFIER_MAX];
};

/* Zero is an empty count. */
struct decoys {
	struct decoy kinds[DECOY_KINDS_MAX];
	size_t n;
};

/* Counts a value of the table, if it is a verifier. */
void decoys_count(struct decoys *d, struct span value);

/* The most frequent kind, and the one that SCRAM can use; NULL: there is none. */
const struct decoy *decoys_any(const struct decoys *d);
const struct decoy *decoys_scram(const struct decoys *d);
