/* SPDX-License-Identifier: ISC */
/*
 * Entries of the journal as `journalctl --output=export` writes them
 * (https://systemd.io/JOURNAL_EXPORT_FORMATS/).
 */
#pragma once

#include "tools/status/source.h"

/* octets of a field, with its name; longer ones are left out */
#define STATUS_EXPORT_FIELD_MAX 65536
/* octets of a cursor, with its end; systemd 252 writes 160 */
#define STATUS_CURSOR_MAX 512

/* Names a place in the journal; empty: none. */
struct status_cursor {
	char text[STATUS_CURSOR_MAX];
};

/* Octets that were read from a descriptor and not used yet. */
struct status_export {
	int fd;
	size_t begin, end;
	char octets[STATUS_EXPORT_FIELD_MAX];
};

/*
 * Reads the next entry, and its cursor. 1; 0 at the end, where a part of an entry is no
 * entry; -errno. ret->record.event is RECORD_EVENTS when the entry is no record.
 */
int status_export_read(struct status_export *x, struct status_cursor *ret_cursor,
	struct status_record *ret);

/* True when there are octets that were read and not used yet. */
bool status_export_has_more(const struct status_export *x);
