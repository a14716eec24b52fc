/* SPDX-License-Identifier: ISC */
/* Times in records, options and the panel. */
#pragma once

#include "base/buf.h"
#include "smtp/tx.h"

/* Reads "2026-12-01T09:08:07.000042Z", the form of records, and no other form. */
bool status_time_read(struct span text, struct moment *ret);

/*
 * since = number ( "s" / "m" / "h" / "d" / "w" ), that long before `now`
 *       / "today" / "yesterday"
 *       / "YYYY-MM-DD" [ ( "T" / " " ) "HH:MM" [ ":SS" ] ] [ "Z" ]
 *
 * Without a "Z" it is local time. Returns NULL, or the fault.
 */
const char *status_time_since(const char *text, int64_t now, int64_t *ret);

/* True when a valid text has the first form, relative to `now`. */
bool status_time_is_ago(const char *text);

/* Appends "09:08:07" of today, or "Dec 01 09:08"; of another year "2025-12-01". */
void status_time_put_short(struct buf *to, int64_t time, int64_t now);

/* Appends "Dec 01 09:08:07"; of another year "2025-12-01 09:08". */
void status_time_put(struct buf *to, int64_t time, int64_t now);

/* "2026-12-01" */
void status_time_put_day(struct buf *to, int64_t time);

/* Appends "hour", "24 hours", "2 days" or "90 minutes". `seconds` is above 0. */
void status_time_put_span(struct buf *to, int64_t seconds);
