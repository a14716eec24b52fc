/* SPDX-License-Identifier: ISC */
/*
 * A table of keys and values in a file of its own: lines of text, or a cdb(5) made of
 * them. It is opened once, with the rights that the process has at its start, and no call
 * after that uses its path.
 */
#pragma once

#include "base/buf.h"
#include "base/faults.h"
#include "proto/conf.h"

/* octets of a table of text; a cdb has no limit of ours */
#define TABLE_TEXT_MAX (1024 * 1024)
#define TABLE_VALUE_MAX ENTRY_VALUE_MAX /* octets of one value */
#define TABLE_FAULT_MAX 384 /* a sentence */

struct table;

enum table_found {
	TABLE_FOUND,
	TABLE_ABSENT,
	/* the file cannot be read or is broken, or there is no room for the value */
	TABLE_FAILED,
};

/*
 * Opens the table at `path`: a cdb where the name ends in ".cdb", else text, each line a
 * key, blanks, and the value up to the end of the line; empty lines and lines that begin
 * with "#" mean nothing. `is_secret`: a file that others than its owner and group may
 * read is refused. 0 and *ret; or -errno, and in *ret_fault a sentence without the path,
 * such as "line 7: has a NUL in it".
 */
int table_open(const char *path, bool is_secret, struct table **ret,
	char ret_fault[TABLE_FAULT_MAX]);
void table_close(struct table *t);

/* Closes files in a process that uses the table no more; frees nothing. Takes NULL. */
void table_close_file(const struct table *t);

/*
 * Appends the value of the key to *ret_value; TABLE_VALUE_MAX is always enough. Keys are
 * compared as octets.
 */
enum table_found table_find(
	const struct table *t, struct span key, struct buf *ret_value);

/*
 * What is wrong with a table that has no entry: a file that a full disk or a crash has
 * emptied looks like that.
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
	 * One pair; its line, or 0 in a cdb. The spans live no longer than the call.
	 * NULL: only faults matter.
	 */
	void (*pair)(void *ctx, size_t line, struct span key, struct span value);
};

/* Calls it for each pair that a search finds, and reports what only a visit shows. */
void table_visit(const struct table *t, const struct table_visitor *visitor,
	struct faults *faults);

/* The same for a file, with all faults that keep it from being opened, as above. */
void table_check(const char *path, bool is_secret, const struct table_visitor *visitor,
	struct faults *faults);

/* Shows a sample of the values: the first 1000 of a text, the first 64 of a cdb. */
void table_sample(
	const struct table *t, void (*see)(void *ctx, struct span value), void *ctx);

/* A table of text in memory: that of an open table, and what postern-cdb reads. */

struct table_pair {
	struct span key, value;
	size_t line;
};

struct table_text {
	char *text; /* owned: all spans lie in it */
	struct table_pair *pairs; /* in the order of their lines */
	size_t n_pairs;
	/* numbers of pairs, from 1, by the hashes of their keys; 0: none */
	uint32_t *slots;
	size_t mask; /* one less than the number of slots */
};

/*
 * Takes `text` over, which the caller has allocated, and finds its pairs. Each fault is
 * reported as "line 7: ..."; of two lines with one key the second is at fault. 0 or
 * -ENOMEM.
 */
int table_text_take(struct table_text *t, char *text, size_t n, struct faults *faults);
void table_text_done(struct table_text *t);

/* NULL: there is none. */
const struct table_pair *table_text_find(const struct table_text *t, struct span key);
