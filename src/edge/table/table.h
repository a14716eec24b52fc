/* SPDX-License-Identifier: ISC */
/*
 * A table of keys and values in a file: lines of text, or a cdb(5) made of them. It is
 * opened once, with the initial rights of the process; later calls do not use its path.
 */
#pragma once

#include "base/buf.h"
#include "base/faults.h"
#include "proto/conf.h"

/* octets of a table of text; the size of a cdb is not limited */
#define TABLE_TEXT_MAX (1024 * 1024)
#define TABLE_VALUE_MAX ENTRY_VALUE_MAX /* octets of a value */
#define TABLE_FAULT_MAX 384 /* octets of a sentence */

struct table;

enum table_found {
	TABLE_FOUND,
	TABLE_ABSENT,
	/* the file cannot be read or is broken, or the value does not fit */
	TABLE_FAILED,
};

/*
 * Opens the table at `path`: a cdb if the name ends in ".cdb", else a text. Each line of
 * a text has a key, blanks, and the value up to the end of the line. Empty lines, and
 * lines that begin with "#", are ignored. `is_secret`: a file that users other than its
 * owner and group may read is refused. 0 and *ret; or -errno, and in *ret_fault a
 * sentence without the path, such as "line 7: has a NUL in it".
 */
int table_open(const char *path, bool is_secret, struct table **ret,
	char ret_fault[TABLE_FAULT_MAX]);
void table_close(struct table *t);

/* The descriptor that the table reads from; -1: it is in memory. Takes NULL. */
int table_file(const struct table *t);

/*
 * Closes the file in a process that no longer uses the table; frees nothing. `t` may be
 * NULL.
 */
void table_close_file(const struct table *t);

/*
 * Appends the value of the key to *ret_value; TABLE_VALUE_MAX octets are always enough.
 * Keys are compared as octets.
 */
enum table_found table_find(
	const struct table *t, struct span key, struct buf *ret_value);

/*
 * The fault of a table without entries: a full disk or a crash may have emptied the file.
 */
#define TABLE_EMPTY "has no line, as if it had been emptied"

/* True for an open table without any entry. */
bool table_is_empty(const struct table *t);

/*
 * True where a value may have the word: where it stands anywhere in a text, and for any
 * cdb, which is not searched.
 */
bool table_may_have(const struct table *t, struct span word);

/* A callback for every pair of a table. */
struct table_visitor {
	void *ctx;
	/*
	 * Receives a pair and its line, or 0 in a cdb. The spans are valid only during
	 * the call. NULL: only faults are reported.
	 */
	void (*pair)(void *ctx, size_t line, struct span key, struct span value);
};

/*
 * Calls the visitor for each pair that a search finds, and reports faults that only a
 * whole visit finds.
 */
void table_visit(const struct table *t, const struct table_visitor *visitor,
	struct faults *faults);

/* Like table_visit() for a file, and reports all faults that prevent opening it. */
void table_check(const char *path, bool is_secret, const struct table_visitor *visitor,
	struct faults *faults);

/* Passes on a sample of the values: the first 1000 of a text, the first 64 of a cdb. */
void table_sample(
	const struct table *t, void (*see)(void *ctx, struct span value), void *ctx);

/* A table of text in memory, for an open table and for postern-cdb. */

struct table_pair {
	struct span key, value;
	size_t line;
};

struct table_text {
	char *text; /* owned: all spans point into it */
	struct table_pair *pairs; /* pairs in the order of their lines */
	size_t n_pairs;
	/* numbers of pairs, from 1, by the hashes of their keys; 0: none */
	uint32_t *slots;
	size_t mask; /* one less than the number of slots */
};

/*
 * Takes over the allocated `text`, and finds its pairs. Each fault is reported as "line
 * 7: ..."; of two lines with the same key the second one is a fault. 0 or -ENOMEM.
 */
int table_text_take(struct table_text *t, char *text, size_t n, struct faults *faults);
void table_text_done(struct table_text *t);

/* Finds the pair of a key; NULL: none. */
const struct table_pair *table_text_find(const struct table_text *t, struct span key);
