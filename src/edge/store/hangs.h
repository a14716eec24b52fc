/* SPDX-License-Identifier: ISC */
/* A broker's side of the table of hangs: it shows each step before it takes it. */
#pragma once

#include "edge/store/store.h"
#include "proto/broker.h"

#define HANG_HERE (BROKER_ERRNO_MAX + 4) /* error: another broker hangs there */

/* Of mail-root, or of another setting, whose paths begin with "/" and its name. */
struct hang_mark {
	struct hangs *all;
	int place;
	const char *base; /* empty: mail-root */
	dev_t device; /* of mail-root, where steps are told apart by their paths alone */
};

/* In the process of the broker: the place is its own. */
void hang_own(const struct hang_mark *m);

/*
 * Begins a request, of which it is not known yet where it leads. `since`, by
 * stream_clock(): how long others may have waited, as this request is one of several that
 * came at once.
 */
void hang_begin(const struct hang_mark *m, uint64_t since);

/*
 * Shows that the next step is at the path, on that device (0: not known). 0, or
 * -HANG_HERE: another broker hangs there, above, or elsewhere on that device, so that the
 * step is not to be taken. Without a mark 0.
 */
int hang_step(const struct hang_mark *m, const char *path, dev_t device);

/* The request is carried out. */
void hang_end(const struct hang_mark *m);
