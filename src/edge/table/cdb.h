/* SPDX-License-Identifier: ISC */
/* A table as a cdb(5): constant, and read where it lies. */
#pragma once

#include "edge/table/table.h"

#define CDB_TABLES 256

/* Where the slots of one of the hash tables are. */
struct cdb_place {
	uint32_t at, n;
};

struct table_cdb {
	int fd; /* the caller's */
	uint64_t size; /* octets of the file */
	uint64_t end; /* of the pairs */
	struct cdb_place tables[CDB_TABLES];
};

/* 0; -EBADMSG: that is no cdb, or not all of one; or another -errno. */
int table_cdb_open(struct table_cdb *c, int fd);
/* As a sentence. */
const char *table_cdb_fault(int error);

/* True when it has no pair. */
bool table_cdb_is_empty(const struct table_cdb *c);

enum table_found table_cdb_find(
	const struct table_cdb *c, struct span key, struct buf *ret_value);

/* Goes through the whole file, for faults that only that shows. */
void table_cdb_visit(const struct table_cdb *c, const struct table_visitor *visitor,
	struct faults *faults);

/* Shows the values of the first `n` pairs, as far as they can be read. */
void table_cdb_sample(const struct table_cdb *c, size_t n,
	void (*see)(void *ctx, struct span value), void *ctx);
