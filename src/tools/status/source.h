/* SPDX-License-Identifier: ISC */
/*
 * Records read back from files of JSON Lines or from the journal. Logs are untrusted
 * input.
 */
#pragma once

#include <poll.h>
#include "proto/network.h"
#include "smtp/record.h"

struct status_record {
	struct record record; /* the values lie in `text`, in the order of their keys */
	uint64_t pid; /* 0: unknown */
	size_t n_text;
	char text[RECORD_TEXT_MAX];
};

void status_record_clear(struct status_record *r);

/*
 * Adds a value as `struct record` has it. Octets that it cannot have become \xHH. A value
 * is left out if it has the wrong type, is there already, or does not fit.
 */
void status_record_put(struct status_record *r, enum record_key key, struct span value);

/* Appends "<path>", with octets that it cannot have as \xHH. */
void status_record_put_path(struct buf *to, struct span path);

/* Sets a topic of that level, and of the record's status if there is one. */
void status_record_set_level(struct status_record *r, enum record_level level);

void status_record_copy(struct status_record *to, const struct status_record *from);

/* Empty when the record has no such value. */
struct span status_record_get(const struct status_record *r, enum record_key key);

/* 0 when the record has no such value. */
uint64_t status_record_number(const struct status_record *r, enum record_key key);

/* A path in a list of them. */
struct status_path {
	struct span text; /* with its brackets */
	size_t i;
};

/* Finds an address, or the first of a domain ("@example.org"). */
bool status_record_find_path(const struct status_record *r, enum record_key key,
	const char *address, struct status_path *ret);

/* The reply to the refused recipient `i` of RECORD_REFUSED_TO; empty: not known. */
struct span status_record_refusal(const struct status_record *r, size_t i);

#define STATUS_LINE_MAX (RECORD_LINE_MAX + 1024) /* octets; records are shorter */

/*
 * Reads one line of `log = json:FILE`, which may be anything. False when it is no record;
 * *ret is undefined then. Unknown members are ignored.
 */
bool status_json_read(struct span line, struct status_record *ret);

/* Seconds: a record is written when no client waits, and several processes write. */
#define STATUS_DISORDER 60
#define STATUS_FILES_MAX 256 /* files of one log, with what they were rotated to */

/* Selects records. */
struct status_filter {
	unsigned events; /* a bit for each enum record_event */
	bool has_peer;
	struct network peer;
	/* an address, or "@" and a domain, in brackets or not; NULL: any */
	const char *from;
	const char *to; /* a recipient that was accepted or refused */
	const char *id; /* of the transaction, or its Message-ID; NULL: any */
};

bool status_filter_takes(const struct status_filter *f, const struct status_record *r);

struct status_source;

/*
 * A source of records: files of JSON Lines, or the journal. Its place is between two
 * records, at the end when it is opened, and can be moved back and forth.
 */
struct status_source_ops {
	/* Moves to after the last record. 0 or -errno. */
	int (*to_end)(struct status_source *s);
	/*
	 * Reads the record before, or after, the place, and moves past it. 1; 0 when
	 * there is none (yet); -errno.
	 */
	int (*previous)(struct status_source *s, struct status_record *ret);
	int (*next)(struct status_source *s, struct status_record *ret);
	/* Sets the wait before look(): a descriptor or -1, and a limit. */
	void (*wait_for)(
		struct status_source *s, struct pollfd *ret, int *ret_milliseconds);
	/* After that wait: 1 when there may be new records, 0, or -errno. */
	int (*look)(struct status_source *s);
	void (*free)(struct status_source *s);
};

struct status_source {
	const struct status_source_ops *ops;
	uint64_t n_visited; /* lines or entries that were read */
	uint64_t n_skipped; /* of these, not records */
};

/*
 * The records of a file that `log = json:FILE` writes. It may grow, and be replaced or
 * cut, while it is read. 0 or -errno; -EINVAL: not a regular file.
 */
int status_file_open(const char *path, struct status_source **ret);

/* The same for a file that does not exist yet: it has no records until then. */
int status_file_await(const char *path, struct status_source **ret);

/*
 * The records of `n` (1 or more) such files and of their rotated ones: "FILE.1",
 * "FILE-20261128" and so on, except compressed ones. They are merged by time. 0, or
 * -errno with the path in *ret_wrong; -E2BIG: more than STATUS_FILES_MAX.
 */
int status_files_open(const char *const *paths, size_t n, struct status_source **ret,
	const char **ret_wrong);

/*
 * The records in the journal of this machine, or of a directory. Only those of the filter
 * are read, by its index. `directory` is borrowed. 0 or -errno; -EOPNOTSUPP: there is no
 * journalctl; -ENODATA: no journal in the directory. Later -EIO: journalctl has failed.
 */
int status_journal_open(const char *directory, const struct status_filter *filter,
	struct status_source **ret);

/* Says why `file` cannot be read, or the journal (NULL). `error` is an errno. */
const char *status_why_unread(const char *file, int error);
