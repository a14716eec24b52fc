/* SPDX-License-Identifier: ISC */
/*
 * Compares passwords with verifiers, makes salts for nonexistent users, and wipes the
 * stack.
 */
#pragma once

#include "proto/verifier.h"

enum proof {
	PROOF_RIGHT,
	PROOF_WRONG,
	PROOF_UNABLE, /* no memory */
	PROOF_INVALID, /* the hash has parameters that crypt(3) does not support */
};

/* Compares a password, which SASLprep (RFC 4013) has prepared, with a verifier. */
enum proof proof_check(const struct verifier *v, const char *password);

/*
 * Makes the salt of a nonexistent user from n <= VERIFIER_SALT_MAX octets, in base64. It
 * is constant for a name and, without the secret, indistinguishable from a real one. The
 * caller frees it. NULL: out of memory.
 */
char *decoy_salt(struct span secret, const char *user, size_t n);

/*
 * Overwrites the stack below the caller's frame, which may hold data of functions that
 * returned.
 */
void proof_wipe_stack(void);
