/*
 * What a user that does not exist seems to have: so that neither time nor salt tells who
 * exists, it is what most of those have that do.
 */
#pragma once

#include "proto/verifier.h"

#define DECOY_KINDS_MAX 8 /* that are counted; the others are rare */

struct decoy {
	struct verifier verifier; /* of `text` */
	size_t n; /* how many are like it */
	char text[VERIFIER_MAX];
};

/* Zero is an empty count. */
struct decoys {
	struct decoy kinds[DECOY_KINDS_MAX];
	size_t n;
};

/* Counts a value of the table; one that is no verifier does not count. */
void decoys_count(struct decoys *d, struct span value);

/* The most frequent kind, and the one that SCRAM can use; NULL: there is none. */
const struct decoy *decoys_any(const struct decoys *d);
const struct decoy *decoys_scram(const struct decoys *d);
