/* A file of random octets that nobody else may know. */
#pragma once

#include "base/buf.h"

#define SECRET_LEAST 32 /* octets: as many as SHA-256 has */
#define SECRET_MOST 4096

/* Reads it; *ret is owned by the caller. 0, or -EINVAL and a sentence about what is wrong and what to do. */
int secret_read(const char *path, struct span *ret, struct buf *ret_fault);
