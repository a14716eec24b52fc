/* The comparison of a password with a verifier, and the secrets around it. */
#pragma once

#include "proto/verifier.h"

enum proof {
	PROOF_RIGHT,
	PROOF_WRONG,
	PROOF_UNABLE, /* no memory */
};

/* The password is prepared by SASLprep (RFC 4013). */
enum proof proof_check(const struct verifier *v, const char *password);

/*
 * The salt of a user that does not exist, in base64: always the same for one name, and
 * only the secret distinguishes it from a real one. n is at most VERIFIER_SALT_MAX.
 * NULL, or to be freed.
 */
char *proof_salt(struct span secret, const char *user, size_t n);

/* Overwrites what functions that have returned may have left below the caller's frame. */
void proof_wipe_stack(void);
