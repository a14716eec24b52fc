/* A cdb(5) that takes the place of another at once, or not at all. */
#pragma once

#include <sys/stat.h>
#include "edge/table/table.h"

#define CDB_TEXT_MAX                                                                     \
	(UINT64_C(1) << 30) /* octets of text: a cdb cannot have more than 4 GiB */

/* Reads the descriptor to its end, a pipe too. Octets in *ret_text, which the caller frees; or -errno. */
int64_t cdb_read_text(int fd, char **ret_text);

/*
 * Writes the pairs into a new file beside `path`, and renames it to that name when all of it is on the disk. It
 * has owner and mode of the file that is there already; else the mode of `input`, where that is a file, or 0600.
 * 0 or -errno; *ret_what then says what could not be done.
 */
int cdb_write(const struct table_text *t, const char *path, const struct stat *input,
	const char **ret_what);
