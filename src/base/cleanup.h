/* SPDX-License-Identifier: ISC */
/* Cleanup attributes for owning locals, and steal(), which hands the value over. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(f) __attribute__((cleanup(f)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define OWNED CLEANUP(cleanup_free)
#define OWNED_FD CLEANUP(cleanup_fd)

/* Returns the value of an owning variable and empties it. */
#define steal(p)                                                                         \
	({                                                                               \
		__typeof__(p) steal_from_ = (p);                                         \
		__typeof__(*steal_from_) stolen_ = *steal_from_;                         \
		*steal_from_ = NULL;                                                     \
		stolen_;                                                                 \
	})

static inline int steal_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}
