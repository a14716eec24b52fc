/* SPDX-License-Identifier: ISC */
/* Compares passwords with verifiers, and handles the secrets around that. */
#pragma once

#include "proto/verifier.h"

enum proof {
	PROOF_RIGHT,
	PROOF_WRONG,
	PROOF_UNABLE, /* no memory */
	PROOF_INVALID, /* the hash has parameters that crypt(3) does not know */
};

/* The password is already prepared by SASLprep (RFC 4013). */
enum proof proof_check(const struct verifier *v, const char *password);

/*
 * The salt of a nonexistent user, in base64: constant for a name, and without the secret
 * indistinguishable from a real one. n <= VERIFIER_SALT_MAX. NULL, or to be freed.
 */
char *decoy_salt(struct span secret, const char *user, size_t n);

/* Overwrites the stack below the caller's frame, where functions have left data. */
void proof_wipe_stack(void);
