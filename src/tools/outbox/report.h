/* One report as it lies in the outbox. */
#pragma once

#include <time.h>
#include "proto/address.h"

struct outbox_report {
	int fd; /* at its beginning; -1: not open */
	time_t written;
	/* as it was read: whatever becomes of the file, it goes there and nowhere else */
	char address[PATH_OCTETS_MAX + 1];
};

/*
 * Opens the file and reads its header. 0; 1 when it is no report, and `*ret_fault` says
 * why, as a part of a sentence; -errno when it cannot be read now.
 */
int outbox_report_open(
	int dir, const char *name, struct outbox_report *ret, const char **ret_fault);
