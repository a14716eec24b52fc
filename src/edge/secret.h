/* A file of random octets that nobody else may know. */
#pragma once

#include "base/span.h"

#define SECRET_LEAST 32 /* octets: as many as SHA-256 has */
#define SECRET_MOST 4096

/*
 * Reads it; *ret is owned by the caller. NULL, or a sentence about what is wrong, without
 * the path.
 */
const char *secret_read(const char *path, struct span *ret);
