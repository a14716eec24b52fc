/* SPDX-License-Identifier: ISC */
/* A table in a cdb(5): constant, and read from the file at each search. */
#pragma once

#include "edge/table/table.h"

#define CDB_TABLES 256

/* The position and number of the slots of one hash table. */
struct cdb_place {
	uint32_t at, n;
};

struct table_cdb {
	int fd; /* owned by the caller */
	uint64_t size; /* length of the file in octets */
	uint64_t end; /* position after the last pair */
	struct cdb_place tables[CDB_TABLES];
};

/* Opens a cdb. 0; -EBADMSG: the file is not a cdb, or is truncated; or another -errno. */
int table_cdb_open(struct table_cdb *c, int fd);
/* Returns the predicate of a message about the error. */
const char *table_cdb_fault(int error);

/* True when the cdb has no pair. */
bool table_cdb_is_empty(const struct table_cdb *c);

enum table_found table_cdb_find(
	const struct table_cdb *c, struct span key, struct buf *ret_value);

/* Reads the whole file, to find faults that a search does not find. */
void table_cdb_visit(const struct table_cdb *c, const struct table_visitor *visitor,
	struct faults *faults);

/* Passes on the values of the first `n` pairs, as far as they can be read. */
void table_cdb_sample(const struct table_cdb *c, size_t n,
	void (*see)(void *ctx, struct span value), void *ctx);
