/* SPDX-License-Identifier: ISC */
/*
 * Verifiers of passwords: the values of the table `auth-users`, as gsasl(1), doveadm(1)
 * and mkpasswd(1) print them. A verifier proves a password without containing it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

#define VERIFIER_ITERATIONS_LEAST 4096 /* RFC 7677 4 */
#define VERIFIER_ITERATIONS_MAX 10000000 /* takes some seconds of a processor */
#define VERIFIER_SALT_MAX 64 /* octets */
#define VERIFIER_MAX 512 /* octets of a value */

enum verifier_kind {
	VERIFIER_SCRAM, /* SCRAM-SHA-256, RFC 7677 */
	VERIFIER_CRYPT, /* crypt(5): yescrypt or SHA-512 */
};

/* A parsed verifier; the spans are parts of its text. */
struct verifier {
	enum verifier_kind kind;
	uint32_t iterations;
	size_t n_salt; /* octets */
	struct span salt, stored, server; /* base64 */
	struct span hash;
	struct span cost; /* the parameters of a hash: its text before the salt */
};

/* Returns NULL, or the fault as a predicate, which has no part of the text in it. */
const char *verifier_parse(struct span text, struct verifier *ret);

/* True when both take the same time to check, and have salts of the same length. */
bool verifier_alike(const struct verifier *a, const struct verifier *b);

/*
 * A decoy: the verifier that is checked for a user that does not exist. It has the
 * parameters of most existing users, so that neither time nor salt reveals which users
 * exist.
 */

#define DECOY_KINDS_MAX 8 /* different sets of parameters; more are rare */

struct decoy {
	struct verifier verifier; /* parsed from `text` */
	size_t n; /* users with such a verifier */
	char text[VERIFIER_MAX];
};

/* Counts of all kinds. All zero: nothing counted. */
struct decoys {
	struct decoy kinds[DECOY_KINDS_MAX];
	size_t n;
};

/* Counts a value of the table, if it is a verifier. */
void decoys_count(struct decoys *d, struct span value);

/* Returns the most frequent kind, and the most frequent one for SCRAM; NULL: none. */
const struct decoy *decoys_any(const struct decoys *d);
const struct decoy *decoys_scram(const struct decoys *d);
