/* One line of `log = json:FILE`. */
#pragma once

#include "smtp/record-text.h"
#include "tools/status/record.h"

#define STATUS_LINE_MAX (RECORD_LINE_MAX + 1024) /* octets; none of ours is longer */

/*
 * False when the line is no record: then nothing of *ret is to be used. Members that no record has are left
 * out, and the line may be anything.
 */
bool status_json_read(struct span line, struct status_record *ret);
