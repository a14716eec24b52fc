/* A record as it was read back: by somebody who trusts nothing that stands in a log. */
#pragma once

#include "smtp/record.h"

struct status_record {
	struct record record; /* the values lie in `text`, in the order of their keys */
	uint64_t pid; /* 0: not told */
	size_t n_text;
	char text[RECORD_TEXT_MAX];
};

void status_record_clear(struct status_record *r);

/*
 * Takes a value as `struct record` has it. Octets that it could not have become \xHH; one that is not of its
 * kind, or is there already, or has no room, is left out.
 */
void status_record_put(struct status_record *r, enum record_key key, struct span value);

/* The same for paths that have no brackets: appends "<path>". */
void status_record_put_path(struct buf *to, struct span path);

/* Takes a topic of that weight, and of the record's status where there is one. */
void status_record_weigh(struct status_record *r, enum record_level level);

void status_record_copy(struct status_record *to, const struct status_record *from);

/* Empty when it is not told. */
struct span status_record_get(const struct status_record *r, enum record_key key);

/* 0 when it is not told. */
uint64_t status_record_number(const struct status_record *r, enum record_key key);
