/*
 * Records as they are read back, from files of JSON Lines or from the journal. Nothing that
 * stands in a log is trusted.
 */
#pragma once

#include <poll.h>
#include "proto/network.h"
#include "smtp/record-text.h"
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

#define STATUS_LINE_MAX (RECORD_LINE_MAX + 1024) /* octets; none of ours is longer */

/*
 * False when the line is no record: then nothing of *ret is to be used. Members that no record has are left
 * out, and the line may be anything.
 */
bool status_json_read(struct span line, struct status_record *ret);

/*
 * Where records are read: a file of JSON Lines, or the journal. A source stands between two records, at the
 * end when it is opened, and goes back and forth from there.
 */
/* Seconds: a record is written when no client waits, and several processes write. */
#define STATUS_DISORDER 60
#define STATUS_FILES_MAX 256 /* files of one log, with what they were rotated to */

/* Which records are meant. */
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

struct status_source_ops {
	/* Behind the last record that there is now. 0 or -errno. */
	int (*to_end)(struct status_source *s);
	/* The record before, or behind, the place; which is then beyond it. 1, or 0 when there is none (yet), or
	 * -errno. */
	int (*previous)(struct status_source *s, struct status_record *ret);
	int (*next)(struct status_source *s, struct status_record *ret);
	/* What to wait for, at most `*ret_milliseconds`, before more can be there. A descriptor of -1 is none. */
	void (*wait_for)(
		struct status_source *s, struct pollfd *ret, int *ret_milliseconds);
	/* Behind that wait: 1 when more may be there, 0, or -errno. */
	int (*look)(struct status_source *s);
	void (*free)(struct status_source *s);
};

struct status_source {
	const struct status_source_ops *ops;
	uint64_t n_visited; /* lines or entries that were looked at */
	uint64_t n_skipped; /* of these, what is no record */
};

/*
 * The records of a file that `log = json:FILE` writes. It may grow, and be replaced or cut, while it is read.
 * 0 or -errno; -EINVAL: is not a regular file.
 */
int status_file_open(const char *path, struct status_source **ret);

/* The same of a file that is missing as yet: it has no records until it is there. */
int status_file_await(const char *path, struct status_source **ret);

/*
 * The records of several such files, with those that each was rotated to: "FILE.1", "FILE-20261128" and so on, but
 * for compressed ones. They are read as one, by time; `n` is 1 or more. 0, or -errno with the path in *ret_wrong;
 * -E2BIG: more than STATUS_FILES_MAX.
 */
int status_files_open(const char *const *paths, size_t n, struct status_source **ret,
	const char **ret_wrong);

/*
 * The records in the journal of this machine, or of a directory. Only those of the filter are looked at, by
 * the journal's own index. 0 or -errno; -EOPNOTSUPP where postern was built without libsystemd.
 */
int status_journal_open(const char *directory, const struct status_filter *filter,
	struct status_source **ret);
