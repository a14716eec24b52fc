/* Records as text: log lines and JSON Lines. */
#pragma once

#include "smtp/record.h"

/* The longest text of a record: JSON doubles the escapes, and names are added. */
#define RECORD_LINE_MAX (2 * RECORD_TEXT_MAX + 2048)

/* event=session end=quit status="SSL Error (SMTP Receive)" ... */
void record_put_line(struct buf *to, const struct record *r);

/*
 * {"time":"2026-12-01T09:08:07.000042Z","event":"session","level":"info","pid":42,...}
 * without a line end. Numbers are JSON numbers, flags true, several recipients an array,
 * and paths have no brackets.
 */
void record_put_json(struct buf *to, const struct record *r, uint64_t pid);

/* "error", "warning", "info" */
const char *record_level_word(enum record_level level);
