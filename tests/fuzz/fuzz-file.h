/* SPDX-License-Identifier: ISC */
/* Input that the tested code reads from a file, and the faults that it reports. */
#pragma once

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz/fuzz.h"

#define FUZZ_PATH_MAX 32

/* A file without a name but in /proc. */
struct fuzz_file {
	int fd;
	char path[FUZZ_PATH_MAX];
	size_t n_faults;
};

static inline void fuzz_file_make(struct fuzz_file *f, struct span text)
{
	*f = (struct fuzz_file){ .fd = memfd_create("input", MFD_CLOEXEC) };
	MUST(f->fd >= 0 && write(f->fd, text.p, text.n) == (ssize_t)text.n);
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
}

/* Each fault is one line; true when it names its place, "FILE:LINE: what". */
static inline bool fuzz_file_count(struct fuzz_file *f, const char *fault)
{
	size_t n = strlen(f->path);

	f->n_faults++;
	MUST(fault[0] && !strchr(fault, '\n'));
	if (strncmp(fault, f->path, n) != 0)
		return false;
	MUST(fault[n] == ':');
	return true;
}
