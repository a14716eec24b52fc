/* A small file as one piece of memory. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads all of a file of at most `max` octets; *ret_text is owned by the caller, and has
 * room for one octet more. Its length, or -errno; -EFBIG when it is larger.
 */
ssize_t file_read(const char *path, size_t max, char **ret_text);
/* The same, of a file that is open. */
ssize_t file_read_open(int fd, size_t max, char **ret_text);
